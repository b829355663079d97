"""How waiting records are dealt to requests."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from emulator.export.queue import Waiting
from emulator.export.worker import ALONE_BYTES, MAX_BYTES, next_request

SIZES = st.one_of(st.integers(1, 2000), st.integers(ALONE_BYTES - 2, MAX_BYTES + 2))


@given(st.lists(SIZES, max_size=8))
def test_all_go_in_order_and_what_is_too_large_goes_alone(sizes: list[int]) -> None:
    waiting = [Waiting(number, "run", "ü", bytes(size), 0) for number, size in enumerate(sizes)]
    requests: list[list[int]] = []
    while waiting:
        taken = next_request(waiting)
        requests.append([len(each.data) for each in taken])
        waiting = waiting[len(taken) :]
    assert [size for request in requests for size in request] == sizes
    for request in requests:
        assert len(request) == 1 or sum(size + 2 for size in request) <= MAX_BYTES
        assert all(size <= ALONE_BYTES for size in request[1:])
