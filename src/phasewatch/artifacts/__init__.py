"""Trained models on disk: the contract, checkpoints, bundles, and loading them in a sandbox."""
