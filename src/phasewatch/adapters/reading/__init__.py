"""Reads tables as columns of text, in batches and in flat memory, whatever the format."""
