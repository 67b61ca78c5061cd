"""Phasewatch: which behavioural phase a virtual machine is in, from telemetry alone."""

__version__ = "0.1.0"
