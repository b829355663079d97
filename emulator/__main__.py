"""`python -m emulator`: serve a local Adobe Experience Platform."""

from __future__ import annotations

import sys
from collections.abc import Sequence


def main(argv: Sequence[str] | None = None, program: str = "python -m emulator") -> int:
    """Run the command; return its exit code: 2 without the packages of the extra `emulator`, or for wrong options.

    Args:
        argv: Its arguments.
        program: How the help says that it is called.
    """
    try:
        from emulator import server
    except ModuleNotFoundError as error:
        print(  # noqa: T201
            f"error: the emulator needs {error.name}, which is not installed: pip install 'beam-aep[emulator]'",
            file=sys.stderr,
        )
        return 2
    return server.main(argv, program)


if __name__ == "__main__":
    sys.exit(main())
