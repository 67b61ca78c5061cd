"""Grids of episodes on the disk: computed once, mapped into memory, shared by models and runs."""
