"""Episodes on disk: the format, a local folder, a remote one, and shipping between hosts."""
