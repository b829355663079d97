"""The command `beam-aep generate`."""
