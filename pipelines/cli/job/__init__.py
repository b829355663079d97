"""`beam-aep job`."""
