"""`python -m pipelines.cli`: the command `beam-aep` where it is not installed."""

import sys

from pipelines.cli.main import main

sys.exit(main())
