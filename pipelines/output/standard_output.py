"""The standard output of a run: who reads it may have gone, and the disk that it goes to may be full."""

from __future__ import annotations

import os
import sys
from contextlib import suppress
from errno import EBADF


def put_out(text: str) -> OSError | None:
    """Write to the standard output, at once.

    What its encoding cannot say is escaped. Where it cannot be written to, all that is written to it from then on goes
    nowhere: Python would try again as it ends, and end with a code of its own.

    Returns:
        Why it cannot be written to; None where it could.
    """
    out = sys.stdout
    if out is None:  # closed before the start
        return OSError(EBADF, os.strerror(EBADF))
    encoding = getattr(out, "encoding", None) or "utf-8"
    try:
        out.write(text.encode(encoding, errors="backslashreplace").decode(encoding))
        out.flush()
    except OSError as error:
        with suppress(OSError, ValueError), open(os.devnull, "wb") as nowhere:
            os.dup2(nowhere.fileno(), out.fileno())
        return error
    return None
