"""Frames of the guest, for the tests of the network and of the switch."""

import struct

GUEST, SINK = bytes((10, 77, 0, 100)), bytes((10, 77, 0, 3))


def frame(flags: int, port: int = 80, data: bytes = b"", **more: int) -> bytes:
    """A TCP segment of the guest to the sink."""
    numbers = (more.get("sequence", 0), more.get("acknowledged", 0), 5 << 4, flags, 4096, 0, 0)
    segment = struct.pack("!HHIIBBHHH", more.get("source", 4000), port, *numbers) + data
    head = struct.pack("!BBHHHBBH", 0x45, 0, 20 + len(segment), 0, 0, 64, 6, 0)
    return b"\2" * 6 + b"\4" * 6 + b"\x08\x00" + head + GUEST + SINK + segment
