"""`beam-aep schema`."""
