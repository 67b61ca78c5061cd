"""The frame that gru and lstm share: a cell that reads the window both ways, pooled three ways.

Both ways is causal: the whole window is past when the call is made.
"""

from dataclasses import dataclass

import torch
from torch import Tensor, nn

Cell = type[nn.GRU] | type[nn.LSTM]


@dataclass(frozen=True)
class Config:
    """`hidden` a direction."""

    hidden: int = 96
    layers: int = 1
    dropout: float = 0.3


class Recurrent(nn.Module):
    """A linear entrance, the cell, then its mean, maximum and last states to a linear readout."""

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
        """`[N, inputs, T]` to `[N, classes]`."""
        states = self.cell(self.entrance(z.transpose(1, 2)))[0]
        pooled = torch.cat([states.mean(dim=1), states.amax(dim=1), states[:, -1]], dim=1)
        answer: Tensor = self.readout(pooled)
        return answer
