"""The producers of events, one file each: the folder is the registry."""
