"""Drafts a schema and a mapping from the data, for a person to correct."""
