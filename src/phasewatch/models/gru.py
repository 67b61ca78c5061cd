"""A recurrent network with GRU cells over the steps of a window."""

from torch import nn

from phasewatch.models._network import Network
from phasewatch.models._recurrent import Config, Recurrent


class Model(Network):
    """A bidirectional GRU network, see `Recurrent`."""

    view = "tensor"
    settings = Config

    @staticmethod
    def layers(config: Config, inputs: int, steps: int, classes: int) -> nn.Module:
        """Return layers from `[N, inputs, steps]` to logits `[N, classes]`."""
        return Recurrent(nn.GRU, config, inputs, classes)
