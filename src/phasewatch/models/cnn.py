"""Convolutions of several lengths side by side, after InceptionTime (Ismail Fawaz et al. 2020)."""

from dataclasses import dataclass

import torch
from torch import Tensor, nn

from phasewatch.models._network import Network


@dataclass(frozen=True)
class Config:
    """There is a branch for each kernel length in steps, and one that pools; each has `filters`."""

    filters: int = 32
    kernels: tuple[int, ...] = (3, 7, 15)
    blocks: int = 3
    bottleneck: int = 32
    dropout: float = 0.2


class Block(nn.Module):
    """Branches with different kernel lengths after a bottleneck, and a residual connection."""

    def __init__(self, config: Config, inputs: int) -> None:
        super().__init__()
        outputs = config.filters * (len(config.kernels) + 1)
        self.narrow = nn.Conv1d(inputs, config.bottleneck, 1, bias=False)
        self.branches = nn.ModuleList(
            nn.Conv1d(config.bottleneck, config.filters, kernel, padding=kernel // 2, bias=False)
            for kernel in config.kernels
        )
        self.pooled = nn.Sequential(
            nn.MaxPool1d(3, stride=1, padding=1), nn.Conv1d(inputs, config.filters, 1, bias=False)
        )
        self.norm = nn.BatchNorm1d(outputs)
        self.around = nn.Sequential(
            nn.Conv1d(inputs, outputs, 1, bias=False), nn.BatchNorm1d(outputs)
        )

    def forward(self, z: Tensor) -> Tensor:
        """Return `[N, outputs, T]` of `z[N, inputs, T]`."""
        narrow = self.narrow(z)
        joined = torch.cat([*(branch(narrow) for branch in self.branches), self.pooled(z)], dim=1)
        return nn.functional.relu(self.norm(joined) + self.around(z))


class Head(nn.Module):
    """Mean and maximum over the steps, then a linear readout."""

    def __init__(self, inputs: int, classes: int, dropout: float) -> None:
        super().__init__()
        self.readout = nn.Sequential(nn.Dropout(dropout), nn.Linear(2 * inputs, classes))

    def forward(self, z: Tensor) -> Tensor:
        """Return logits `[N, classes]` of `z[N, inputs, T]`."""
        logits: Tensor = self.readout(torch.cat([z.mean(dim=2), z.amax(dim=2)], dim=1))
        return logits


class Model(Network):
    """A stack of `blocks` convolution blocks, then the head."""

    view = "tensor"
    settings = Config

    @staticmethod
    def layers(config: Config, inputs: int, steps: int, classes: int) -> nn.Module:
        """Return layers from `[N, inputs, steps]` to logits `[N, classes]`."""
        outputs = config.filters * (len(config.kernels) + 1)
        blocks = [Block(config, outputs if place else inputs) for place in range(config.blocks)]
        return nn.Sequential(*blocks, Head(outputs, classes, config.dropout))
