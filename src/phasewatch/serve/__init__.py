"""The page, its events and their producers, over HTTP."""
