"""The two modes of a model: realistic, what is seen from outside, and oracle, with an agent inside.

Nothing is imported here, so that `phasewatch --help` prints at once.
"""

from typing import Literal, get_args

Mode = Literal["realistic", "oracle"]
MODES: tuple[Mode, ...] = get_args(Mode)
