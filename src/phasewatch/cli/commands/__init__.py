"""The commands, one file a group: the folder is the registry."""
