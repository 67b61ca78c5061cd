"""Validates episodes: rules, four verdicts, the acceptance index and explanations."""
