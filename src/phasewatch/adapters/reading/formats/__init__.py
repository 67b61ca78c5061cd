"""The formats of tables, one file each: the folder is the registry."""
