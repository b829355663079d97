"""A soak: the pipeline under random faults at a steady rate, every record accounted for at the end."""

import pipelines  # noqa: F401 (before Beam, which it keeps from a warning that means nothing here)
