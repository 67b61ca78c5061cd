"""The frame that gru and lstm share: a cell that reads the window both ways, pooled three ways.

Reading both ways is causal: all steps of the window are past when its phase is predicted.
"""

from dataclasses import dataclass

import torch
from torch import Tensor, nn

Cell = type[nn.GRU] | type[nn.LSTM]


@dataclass(frozen=True)
class Config:
    """`hidden` is the number of cells in each direction, `layers` that of stacked layers."""

    hidden: int = 96
    layers: int = 1
    dropout: float = 0.3


class Recurrent(nn.Module):
    """A linear input layer, the cell, then a linear readout of its mean, maximum and last state."""

    def __init__(self, cell: Cell, config: Config, inputs: int, classes: int) -> None:
        super().__init__()
        self.entrance = nn.Sequential(
            nn.Linear(inputs, config.hidden), nn.LayerNorm(config.hidden), nn.GELU()
        )
        self.cell = cell(
            config.hidden,
            config.hidden,
            num_layers=config.layers,
            batch_first=True,
            bidirectional=True,
            dropout=config.dropout if config.layers > 1 else 0.0,
        )
        self.readout = nn.Sequential(
            nn.Dropout(config.dropout), nn.Linear(6 * config.hidden, classes)
        )

    def forward(self, z: Tensor) -> Tensor:
        """Return logits `[N, classes]` of `z[N, inputs, T]`."""
        states = self.cell(self.entrance(z.transpose(1, 2)))[0]
        pooled = torch.cat([states.mean(dim=1), states.amax(dim=1), states[:, -1]], dim=1)
        logits: Tensor = self.readout(pooled)
        return logits
