"""`beam-aep provision`."""
