"""Imports tables of other tools as episodes, and exports windows as files."""
