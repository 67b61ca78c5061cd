"""Self-attention over short patches of a window, as PatchTST cuts them (Nie et al. 2023)."""

from dataclasses import dataclass

import torch
from torch import Tensor, nn

from phasewatch.models._network import Network


@dataclass(frozen=True)
class Config:
    """Every `patch` steps become one token of `width` numbers."""

    width: int = 96
    heads: int = 4
    layers: int = 2
    patch: int = 2
    dropout: float = 0.2


class Attention(nn.Module):
    """A pre-norm encoder of patches with learned positions and one extra token.

    The readout takes the extra token and the mean of the patches.
    """

    def __init__(self, config: Config, inputs: int, steps: int, classes: int) -> None:
        super().__init__()
        self.lead = -steps % config.patch
        self.patches = nn.Conv1d(inputs, config.width, config.patch, stride=config.patch)
        tokens = (steps + self.lead) // config.patch
        self.token = nn.Parameter(torch.randn(1, 1, config.width) * 0.02)
        self.places = nn.Parameter(torch.randn(1, tokens + 1, config.width) * 0.02)
        layer = nn.TransformerEncoderLayer(
            config.width,
            config.heads,
            2 * config.width,
            config.dropout,
            activation="gelu",
            batch_first=True,
            norm_first=True,
        )
        self.encoder = nn.TransformerEncoder(layer, config.layers, enable_nested_tensor=False)
        self.readout = nn.Sequential(
            nn.LayerNorm(2 * config.width),
            nn.Dropout(config.dropout),
            nn.Linear(2 * config.width, classes),
        )

    def forward(self, z: Tensor) -> Tensor:
        """Return logits `[N, classes]` of `z[N, inputs, steps]`."""
        patches = self.patches(nn.functional.pad(z, (self.lead, 0))).transpose(1, 2)
        tokens = torch.cat([self.token.expand(z.shape[0], -1, -1), patches], dim=1) + self.places
        read = self.encoder(tokens)
        pooled = torch.cat([read[:, 0], read[:, 1:].mean(dim=1)], dim=1)
        logits: Tensor = self.readout(pooled)
        return logits


class Model(Network):
    """A transformer encoder over patches, see `Attention`."""

    view = "tensor"
    settings = Config

    @staticmethod
    def layers(config: Config, inputs: int, steps: int, classes: int) -> nn.Module:
        """Return layers from `[N, inputs, steps]` to logits `[N, classes]`."""
        return Attention(config, inputs, steps, classes)
