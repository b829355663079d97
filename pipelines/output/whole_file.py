"""Files that a command leaves behind: whole or not at all, and without harm to what is at their path."""

from __future__ import annotations

import os
import stat
import sys
import uuid
from contextlib import suppress
from errno import EACCES, EBUSY, EISDIR
from pathlib import Path


def write_whole(path: str | Path, content: bytes) -> None:
    """Write a file so that whoever reads it finds all of it, or what was there before.

    A symbolic link stays one, and the file that it leads to is written; its owner and mode stay. What is no regular
    file (a named pipe, a device), what the standard output or error goes to, and a file that is mounted by itself, as
    into a container, is written to as it is. Of several who write at once, the last wins.

    Raises:
        OSError: The file cannot be written; what was there is still there.
    """
    found = _stat(path)
    for stream, number in ((sys.stdout, 1), (sys.stderr, 2)):
        if found and _leads_to(number, found):  # as /dev/stdout does; to open a file anew would begin at its start
            if stream is not None:
                stream.flush()
            with os.fdopen(os.dup(number), "wb") as file:
                file.write(content)
            return
    if found and not stat.S_ISREG(found.st_mode):
        with open(path, "wb") as file:
            file.write(content)
        return
    target = os.path.realpath(path)
    unfinished = _unfinished(target)
    try:
        # Nobody reads here what the file at the path would not let them read.
        flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL
        with os.fdopen(os.open(unfinished, flags, 0o600 if found else 0o666), "wb") as file:
            if found:
                with suppress(PermissionError):  # only root may give files away
                    os.fchown(file.fileno(), found.st_uid, found.st_gid)
                os.fchmod(file.fileno(), stat.S_IMODE(found.st_mode))
            file.write(content)
        _put_in_place(unfinished, target, content)
    except OSError:
        with suppress(OSError):  # it takes the room that a full disk lacks
            os.unlink(unfinished)
        raise


def check_can_be_written(path: str | Path) -> None:
    """Look whether `write_whole` can write there, without opening what others may be reading.

    Raises:
        OSError: It cannot.
    """
    found = _stat(path)
    if found and stat.S_ISDIR(found.st_mode):
        raise IsADirectoryError(EISDIR, os.strerror(EISDIR), str(path))
    if found and any(_leads_to(number, found) for number in (1, 2)):
        return
    if found and not stat.S_ISREG(found.st_mode):
        if not os.access(path, os.W_OK):
            raise PermissionError(EACCES, os.strerror(EACCES), str(path))
        return
    unfinished = _unfinished(os.path.realpath(path))
    with open(unfinished, "wb"):
        pass
    os.unlink(unfinished)


def _put_in_place(unfinished: str, target: str, content: bytes) -> None:
    try:
        os.replace(unfinished, target)
    except OSError as error:
        if error.errno != EBUSY:
            raise
        with open(target, "wb") as file:  # it is mounted by itself: nothing else can take its place
            file.write(content)
        os.unlink(unfinished)


def _stat(path: str | Path) -> os.stat_result | None:
    try:
        return os.stat(path)
    except FileNotFoundError:
        return None


def _leads_to(number: int, found: os.stat_result) -> bool:
    """Return whether an open file of this process is the one found."""
    try:
        return os.path.samestat(os.fstat(number), found)
    except OSError:  # it was closed before the start
        return False


def _unfinished(target: str) -> str:
    """Return the name of a file that nobody else has, since another run may write to the same path."""
    return f"{target}.{uuid.uuid4().hex[:12]}.unfinished"
