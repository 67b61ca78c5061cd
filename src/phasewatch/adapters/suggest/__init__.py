"""Drafts a schema and a mapping from the data, for a person to correct."""

from phasewatch.adapters.suggest.draft import Draft, draft_of, suggest
from phasewatch.adapters.suggest.shapes import Told

__all__ = ["Draft", "Told", "draft_of", "suggest"]
