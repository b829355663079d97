"""What a sink is: a place where dead letters and receipts are written."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol

from aep.errors import UserError
from transforms.records.record import Message
from transforms.worker import process


class SinkError(UserError):
    """Dead letters or receipts cannot be written: where, why, and what to do."""


class Entry(Protocol):
    """What is written: a dead letter or a receipt. A sink takes whichever of its forms fits."""

    def to_json(self) -> bytes:
        """Return all of it as one line of JSON, without the line's end."""
        ...

    def to_message(self) -> Message:
        """Return it as a message: a dead letter's key and value are the original ones, the reason is in headers."""
        ...


class Sink(Protocol):
    """Somewhere to write. Sinks are pickled and sent to workers: they hold settings, and no clients or open files."""

    def check(self, local: bool) -> None:
        """Look before a run whether it can be written to, without leaving anything there.

        Args:
            local: Whether this machine writes; False where workers elsewhere do.

        Raises:
            SinkError, KafkaSetupError: It cannot; says what to do, and names the option.
        """
        ...

    def needs_network(self) -> bool:
        """Return whether it is reached over the network, so that nothing can be checked without."""
        ...

    def write(self, entries: Sequence[Entry]) -> None:
        """Write, and return only when nothing of it can be lost any more: offsets are committed after that.

        Called at the end of each bundle that has entries, and before that when many are waiting.

        Raises:
            SinkError, KafkaSetupError, StoppedError: Something was not written, which fails the bundle.
        """
        ...

    def describe(self) -> str:
        """Return its name for tables and messages, without secrets."""
        ...

    def source(self) -> str | None:
        """Return what `replay_source` is to be to read it back; None for a sink that nothing is read back from."""
        ...


Sinks = tuple[Sink, ...]


def write_to_all(sinks: Sinks, entries: Sequence[Entry]) -> None:
    """Write to each of the sinks; the first one that fails fails the bundle, and its error ends a local run.

    Raises:
        SinkError, KafkaSetupError, StoppedError: As for `Sink.write`.
    """
    with process.remember_failure():
        for sink in sinks:
            sink.write(entries)


def first_source(sinks: Sinks) -> str | None:
    """Return the source of the first of the sinks that can be read back; None when there is none."""
    return next((source for sink in sinks if (source := sink.source()) is not None), None)


def describe_all(sinks: Sinks) -> str:
    """Return the names of the sinks, for tables and messages."""
    return ", ".join(sink.describe() for sink in sinks)
