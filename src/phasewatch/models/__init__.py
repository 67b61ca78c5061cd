"""One file a model; `phasewatch.model` finds them. Each holds a class `Model` and its `Config`."""
