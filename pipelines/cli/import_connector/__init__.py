"""`beam-aep import-connector`."""
