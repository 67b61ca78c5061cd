"""Evaluates predictions: timing, calibration, baselines, leakage checks, the values of a report."""
