"""The frame of gru and lstm: it reads every step, and one window does not depend on another."""

import pytest
import torch
from torch import nn

from phasewatch.models._recurrent import Cell, Config, Recurrent


def recurrent(cell: Cell, config: Config | None = None) -> Recurrent:
    torch.manual_seed(0)
    return Recurrent(cell, config or Config(hidden=8), 4, 3).eval()


@pytest.mark.parametrize("cell", [nn.GRU, nn.LSTM])
def test_logits_depend_on_every_step_of_their_own_window_alone(cell: Cell) -> None:
    module = recurrent(cell)
    z = torch.randn(5, 4, 10)
    logits = module(z)
    assert logits.shape == (5, 3)
    torch.testing.assert_close(module(z[:1]), logits[:1])
    for step in (0, 5, 9):
        other = z.clone()
        other[0, :, step] += 3.0
        changed = module(other)
        assert not torch.allclose(changed[0], logits[0])
        torch.testing.assert_close(changed[1:], logits[1:])


def test_dropout_is_between_layers_where_there_are_several() -> None:
    assert recurrent(nn.GRU, Config(hidden=8, layers=2, dropout=0.5)).cell.dropout == 0.5
    assert recurrent(nn.GRU, Config(hidden=8, layers=1, dropout=0.5)).cell.dropout == 0.0
