"""Problems that several values make together, each valid by itself."""

from typing import NamedTuple


class Finding(NamedTuple):
    """A problem of several options: the names it hangs on, and what to say."""

    names: tuple[str, ...]
    text: str


class Fault(NamedTuple):
    """A problem of a route's keys.

    Attributes:
        key: Key of the route, or an option that the route needs.
        text: What is wrong with it.
        others: Keys that it hangs on too.
    """

    key: str
    text: str
    others: tuple[str, ...] = ()
