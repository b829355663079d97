"""`beam-aep dead-letters`."""
