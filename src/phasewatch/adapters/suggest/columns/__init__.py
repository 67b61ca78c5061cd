"""What one column says: its name, its cells, its values from row to row."""
