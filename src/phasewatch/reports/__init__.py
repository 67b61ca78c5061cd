"""The report of a run as files: the page, its figures, its abstract."""
