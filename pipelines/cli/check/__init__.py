"""`beam-aep check`."""
