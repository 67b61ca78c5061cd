"""A whole run from a store to a report, and the survey of a store."""
