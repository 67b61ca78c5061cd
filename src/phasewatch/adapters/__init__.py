"""Other people's tables in, and windows out as files."""
