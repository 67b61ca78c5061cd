"""A recurrent network with LSTM cells over the steps of a window."""

from torch import nn

from phasewatch.models._network import Network
from phasewatch.models._recurrent import Config, Recurrent


class Model(Network):
    """LSTM cells, both ways."""

    view = "tensor"
    settings = Config

    @staticmethod
    def layers(config: Config, inputs: int, steps: int, classes: int) -> nn.Module:
        """`[N, inputs, steps]` to `[N, classes]`."""
        return Recurrent(nn.LSTM, config, inputs, classes)
