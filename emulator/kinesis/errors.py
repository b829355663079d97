"""The errors that Kinesis answers with."""

from __future__ import annotations


class KinesisError(Exception):
    """An error answer: AWS's code, its message, and the HTTP status."""

    def __init__(self, code: str, message: str, status: int = 400) -> None:
        super().__init__(code, message)
        self.code = code
        self.message = message
        self.status = status


class ConnectionDroppedError(Exception):
    """A switch drops the connection, so the client gets no answer."""


def invalid_argument(message: str) -> KinesisError:
    """Make the error of a parameter that is well-formed but cannot be used."""
    return KinesisError("InvalidArgumentException", message)


def invalid_form(message: str) -> KinesisError:
    """Make the error of a parameter outside the constraints of the service model, in the words that AWS has for it."""
    return KinesisError("ValidationException", f"1 validation error detected: {message}")


def not_found(message: str) -> KinesisError:
    """Make the error of a stream or shard that does not exist."""
    return KinesisError("ResourceNotFoundException", message)


def in_use(message: str) -> KinesisError:
    """Make the error of a stream that is not in the state that the call needs."""
    return KinesisError("ResourceInUseException", message)
