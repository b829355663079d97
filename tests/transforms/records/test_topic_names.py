from __future__ import annotations

import pytest

from transforms.records.topic_names import covers


@pytest.mark.parametrize(
    ("wanted", "topic", "is_covered"),
    [
        ("events", "events", True),
        ("events", "events-2", False),
        ("^events", "events-2", True),
        ("^events$", "events-2", False),
        ("^.*", "_schemas", True),
        ("^.*", "__consumer_offsets", False),
        ("^__transaction_state$", "__transaction_state", False),
        ("__consumer_offsets", "__consumer_offsets", True),
    ],
)
def test_patterns_leave_out_names_that_begin_with_two_underscores(wanted: str, topic: str, is_covered: bool) -> None:
    assert covers(wanted, topic) == is_covered
