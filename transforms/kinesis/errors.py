"""Errors of Kinesis as errors of this project's own, in one place: ``kinesis`` knows nothing of ``aep``."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from aep.errors import StoppedError, UserError
from kinesis import errors


class KinesisSetupError(UserError):
    """Kinesis cannot be used as it is set up: credentials, rights, region, endpoint, stream, key."""


def user_error(error: errors.KinesisError) -> UserError:
    """Return the error that the user is to see for one of Kinesis', with the same message."""
    kind = StoppedError if isinstance(error, errors.StoppedError) else KinesisSetupError
    return kind(str(error))


@contextmanager
def as_user_error() -> Iterator[None]:
    """Raise errors of Kinesis inside as errors that the user is to see.

    Raises:
      StoppedError: the process was asked to end.
      KinesisSetupError: anything else.
    """
    try:
        yield
    except errors.KinesisError as error:
        raise user_error(error) from None
