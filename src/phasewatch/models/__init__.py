"""The models, one file each: the folder is the registry, `_*` and `base` are shared parts."""
