"""A machine while it runs: buffered samples in, predictions, attributions and incidents out."""
