"""A watch: machines are read, and what they say goes to lines, predictions and episodes."""
