"""Episodes on disk: the format, a local folder, a remote one, and a server that takes episodes in."""
