"""One file a producer of events; `phasewatch.events` finds them. Each holds a class `Producer`."""
