"""What a model sees of a window: views, their normalizer, and a two-dimensional projection."""
