"""Drafts a schema and a mapping from the data, for a person to correct."""

from phasewatch.adapters.suggest.draft import Draft, Told, draft_of, suggest

__all__ = ["Draft", "Told", "draft_of", "suggest"]
