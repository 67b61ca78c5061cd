"""The recorder: virtual hosts, load profiles, faults, probes, and episodes recorded from them."""
