"""The commands, a file a group: the folder is the registry."""
