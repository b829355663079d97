from __future__ import annotations

from contextlib import suppress

from transforms.worker.under_way import Load, UnderWay


def test_a_request_that_is_not_answered_yet_counts_as_it_goes() -> None:
    now = [0.0]
    under_way = UnderWay(lambda: now[0])
    with under_way:
        now[0] = 1
        with suppress(ConnectionError), under_way:
            now[0] = 3
            raise ConnectionError
        now[0] = 4
        assert under_way.take() == Load(most=2, seconds=4 + 2)
        now[0] = 5
        assert under_way.take() == Load(most=1, seconds=1)
    assert under_way.take() == Load(most=1, seconds=0)
    assert under_way.take() == Load(most=0, seconds=0)
