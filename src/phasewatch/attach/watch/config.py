"""The configuration file of `phasewatch attach`: which machines are watched, and where it goes."""

from pathlib import Path

from pydantic import Field

from phasewatch.attach.collector import Target
from phasewatch.io import fields


class Config(fields.Table):
    """A file with a `[[machine]]` block for each machine; see docs/how-to/attach.md.

    `bundle` predicts as machines are read; `levels` is the folder in which their levels are
    kept; `alert` lists the receivers of incidents. `out` is a store to write episodes into, `label`
    their phase, `profile` what the machines do in them, and `episode_s` their length in seconds.
    `to` is the receiver of samples, `token` the file of this host's token, `ca` the certificates to
    trust, and `buffer` the folder of what is not acknowledged yet, `buffer_mb` at most.
    `metrics` is a port for Prometheus, 0 for none.
    """

    machine: fields.Tuple[Target] = Field(min_length=1, description="one [[machine]] block or more")
    bundle: str = ""
    levels: str = ""
    alert: fields.Tuple[str] = ()
    out: str = ""
    label: str = ""
    profile: str = ""
    episode_s: float = Field(600.0, ge=30, le=86_400, description="seconds from 30 to 86,400")
    to: str = ""
    token: str = ""
    ca: str = ""
    buffer: str = ""
    metrics: int = Field(0, ge=0, le=65_535, description="a port, or 0 for none")
    buffer_mb: int = Field(256, ge=8, description="a number of MiB from 8 on")


def read(path: Path) -> Config:
    """Return a configuration file. Raises Refused for a wrong field."""
    return fields.read(path, Config, "[[machine]] blocks as in docs/how-to/attach.md")
