"""Kinds of destinations, one file or folder each: what pipelines name, and what `DestinationKind` asks of each."""
