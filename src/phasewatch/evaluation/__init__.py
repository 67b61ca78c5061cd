"""Predictions and what they are worth: timing, calibration, baselines, leakage checks."""
