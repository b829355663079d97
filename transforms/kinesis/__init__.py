"""Kinesis as a destination and as a source: the only transforms that import `kinesis`."""
