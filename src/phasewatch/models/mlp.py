"""Two hidden layers on summary statistics: the plainest network."""

from dataclasses import dataclass

from torch import nn

from phasewatch.models._network import Network


@dataclass(frozen=True)
class Config:
    """Width and number of the hidden layers."""

    hidden: int = 256
    depth: int = 2
    dropout: float = 0.3


class Model(Network):
    """`depth` blocks of linear, LayerNorm, GELU and dropout layers, then a linear readout."""

    view = "summary"
    settings = Config

    @staticmethod
    def layers(config: Config, inputs: int, steps: int, classes: int) -> nn.Module:
        """Return layers from `[N, inputs]` to logits `[N, classes]`."""
        blocks: list[nn.Module] = []
        for place in range(config.depth):
            blocks += [
                nn.Linear(config.hidden if place else inputs, config.hidden),
                nn.LayerNorm(config.hidden),
                nn.GELU(),
                nn.Dropout(config.dropout),
            ]
        return nn.Sequential(*blocks, nn.Linear(config.hidden, classes))
