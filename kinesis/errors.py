"""The errors of this package. Their messages are for users and never hold a secret or the content of a record.

KinesisError              the message says what, where and what to do
├── AccessError           credentials, rights, the region or the endpoint, which the user has to fix
├── StreamError           the stream, or the key that encrypts it, is not there or cannot be used
├── UnreachableError      no answer, or only answers that ask to try again
└── StoppedError          the process was asked to end while records waited to be sent
"""

from __future__ import annotations


class KinesisError(Exception):
    """Base of all errors of Kinesis and of the way to it."""


class AccessError(KinesisError):
    """There are no credentials, or AWS refuses them, or they lack a right; or region and endpoint do not fit."""


class StreamError(KinesisError):
    """The stream does not exist there, or is not fit for what is asked of it, or its KMS key cannot be used."""


class UnreachableError(KinesisError):
    """Kinesis cannot be reached or is failing: the same call may work later."""


class StoppedError(KinesisError):
    """The process is ending, and not all records could be delivered in the time that was left."""
