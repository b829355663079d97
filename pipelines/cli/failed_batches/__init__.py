"""`beam-aep failed-batches`."""
