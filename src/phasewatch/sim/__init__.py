"""The simulator: stores of any size with the recorded corpus's statistics and planted faults.

For scale and for tests. No score obtained on simulated data is ever a result.
"""
