"""One file a model; `phasewatch.models.base` finds them. Each holds a class `Model` and its `Config`."""
