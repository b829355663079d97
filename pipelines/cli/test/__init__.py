"""`beam-aep test`."""
