"""The command `beam-aep`, also as `python -m pipelines.cli`, from its first moment: Ctrl-C may come while it loads."""

import sys

INTERRUPTED = 130
"""Exit code: as of a process that SIGINT ends, 128 + 2."""


def start() -> int:
    """Load the commands and run the one that is asked for; return the exit code."""
    try:
        from pipelines.cli.main import main

        return main()
    except KeyboardInterrupt:
        return INTERRUPTED


if __name__ == "__main__":
    sys.exit(start())
