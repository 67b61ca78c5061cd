"""The simulator: stores of any size with the statistics of the recorded corpus and planted faults.

For scale and for tests. No score obtained on simulated data is ever a result.
"""
