"""A record of a message from the Kafka client."""

from __future__ import annotations

from confluent_kafka import Message

from transforms.records.record import UNREADABLE_HEADERS, Record


def record_of(message: Message) -> Record:
    """Return the record of a message without an error.

    The client decodes the names of headers as UTF-8. Where one is not, confluent-kafka 2.16 leaves an error behind that
    is raised by whatever looks for one next, many lines later in a loop that the interpreter has specialised, and a
    list of headers that crashes whoever touches it. So they are asked for once, and copied by an iterator: its end
    looks for the error.
    """
    try:
        found = message.headers()
        headers = tuple(iter(found)) if found else ()
    except (SystemError, UnicodeDecodeError):
        headers = UNREADABLE_HEADERS
    return Record(message.offset(), message.timestamp()[1], message.key(), headers, message.value())
