"""`python -m demo`: the pipeline at work on this machine, with nothing but this checkout."""

import pipelines  # noqa: F401 - before Beam, whose remark about BigQuery it keeps off the terminal
