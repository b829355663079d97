"""Refusals of Kinesis, raised where they are noticed."""

from __future__ import annotations


class KinesisError(Exception):
    """A refusal with AWS's name for it, the text for the client, and the HTTP status."""

    def __init__(self, code: str, message: str, status: int = 400) -> None:
        super().__init__(code, message)
        self.code = code
        self.message = message
        self.status = status


class ConnectionDroppedError(Exception):
    """A switch says that the connection breaks here, so that the client gets no answer."""


def invalid_argument(message: str) -> KinesisError:
    """Make the error of a parameter that has the right form and cannot be used."""
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
