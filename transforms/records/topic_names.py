"""Names of topics, and patterns of them."""

from __future__ import annotations

import re


def covers(wanted: str, topic: str) -> bool:
    """Return whether a topic is meant by a name, or by a regular expression, which starts with `^`.

    Regular expressions leave out topics whose names begin with two underscores: `__consumer_offsets` and
    `__transaction_state` are Kafka's own, and such names are customary for what is not data. They can be named.
    """
    if not wanted.startswith("^"):
        return wanted == topic
    return not topic.startswith("__") and re.match(wanted, topic) is not None
