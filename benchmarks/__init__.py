"""Benchmarks: how fast the pipeline is, as ratios taken in one run. ``python -m benchmarks``."""
