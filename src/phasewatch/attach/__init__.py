"""Telemetry of machines that Phasewatch did not start: collectors, and what they read."""
