"""Benchmarks: how fast the pipeline is, as ratios taken in one run. `python -m bench`."""

import pipelines  # noqa: F401 (before Beam, which it keeps from a warning that means nothing here)
