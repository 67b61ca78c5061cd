"""The report of a run as a page: sentences, figures and tables."""
