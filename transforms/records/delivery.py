"""What posting asks of a destination: the protocols of connections and clients, and of what they answer.

Why they are as they are, stands in `transforms.records.destination`.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Literal, Protocol

from transforms.records.chunk import Batch
from transforms.records.destination import Destination

Order = Literal["none", "key"]


class Answer(Protocol):
    """What became of a record."""

    @property
    def accepted(self) -> bool:
        """Whether the destination has it."""

    @property
    def code(self) -> str:
        """The kind of reason why not, as dead letters have it; "" for an accepted one."""

    @property
    def message(self) -> str:
        """The reason in words."""

    @property
    def attempts(self) -> int:
        """How often it was sent."""

    @property
    def receipt(self) -> Mapping[str, str]:
        """What the destination calls an accepted one: these fields begin its receipt."""


class Counts(Protocol):
    """Numbers of a delivery, or of a step of it."""

    @property
    def requests(self) -> int:
        """Requests sent."""

    @property
    def sent_bytes(self) -> int:
        """Bytes of their bodies."""

    @property
    def accepted(self) -> int:
        """Records that the destination has."""

    @property
    def retries(self) -> Mapping[str, int]:
        """Sendings again, by cause."""

    @property
    def duplicates_possible(self) -> int:
        """Records sent again although they may have arrived the first time."""


class Delivery(Counts, Protocol):
    """What became of a batch, and what it took."""

    @property
    def answers(self) -> Sequence[Answer]:
        """One for each record, in order."""

    @property
    def seconds(self) -> float:
        """From the call to the last answer."""

    @property
    def in_flight(self) -> int:
        """The most requests that were under way when one of these was sent, itself included."""


class Client(Protocol):
    """Delivers batches to a destination. One for a destination and a process; its threads share it."""

    @property
    def waiting(self) -> Sequence[str]:
        """Why batches wait to be sent again, one reason for each of them."""

    def deliver(self, batch: Batch, observer: Callable[[Counts], None], aside: Callable[[], None]) -> Delivery:
        """Send a batch, and what of it is to be sent again, until each record has its answer.

        Args:
            batch: Where the order of a key matters, no other batch of its shard is delivered meanwhile.
            observer: Gets the numbers of each step as it is taken, also in a delivery that ends in an error.
            aside: To be called when the batch does nothing but wait, so that another may be delivered meanwhile.

        Raises:
            AepError: What a person has to put right; the bundle fails, and nothing of it is committed.
        """

    def take_renewals(self) -> int:
        """Return credentials fetched since this was last asked."""


class Connection(Protocol):
    """How a pipeline talks to its destinations; the same for all its routes."""

    @property
    def name(self) -> str:
        """What people call what is behind it, in tables and messages."""

    @property
    def max_in_flight(self) -> int:
        """Batches under way at a time at most, for each destination and process."""

    @property
    def order(self) -> Order:
        """`key` keeps the records of a key in their order: of each shard of keys one batch is under way at a time."""

    @property
    def shards(self) -> int:
        """How many shards of keys batches must be made of; 1 where order does not matter."""

    def client(self, destination: Destination) -> Client:
        """Return a client for a destination; called once for each in a process.

        Raises:
            ConfigurationError: The destination asks for what the connection does not have.
        """

    def check(self, destinations: Iterable[Destination], *, local: bool) -> None:
        """Look before a run, without posting anything, for what would keep records from being delivered.

        Args:
            destinations: Destinations of all routes.
            local: Whether this machine delivers, so that its files and its network are the ones that count.

        Raises:
            AepError: What is missing, where, and what to do.
        """
