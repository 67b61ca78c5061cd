"""Atomic writes, reading of untrusted files, TLS files, and executors for parallel work."""
