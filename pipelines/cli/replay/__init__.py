"""`beam-aep replay`."""
