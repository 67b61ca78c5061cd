"""One file a producer of events; `phasewatch.serve.events` finds them. Each holds a class `Producer`."""
