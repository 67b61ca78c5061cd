"""The commands, one file for each group. Every file in this folder is imported."""
