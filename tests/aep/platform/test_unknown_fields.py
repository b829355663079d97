from __future__ import annotations

import pytest

from aep.platform.unknown_fields import Refusals, after_refusals


def told(*seen: tuple[float, int]) -> list[float]:
    """Return the times at which a burst of refusals at these times is reported."""
    refusals, times = Refusals(), []
    for now, refused in seen:
        refusals, burst = after_refusals(refusals, refused, now)
        if burst:
            times.append(now)
    return times


@pytest.mark.parametrize(
    ("seen", "expected"),
    [
        ([(100.0, 20)], [100.0]),
        ([(100.0, 19)], []),
        ([(100.0, 10), (130.0, 9), (159.0, 1)], [159.0]),
        # the twentieth comes after a minute
        ([(100.0, 10), (130.0, 9), (160.0, 1)], []),
        # what passes between them ends no run
        ([(100.0, 10), (120.0, 0), (150.0, 10)], [150.0]),
        # told once, however long it goes on
        ([(100.0 + at, 20) for at in range(0, 900, 30)], [100.0]),
        # a sender that is wrong all day long
        ([(float(at), 1) for at in range(0, 86_400, 59)], []),
        # a quiet minute, and another burst
        ([(100.0, 25), (110.0, 25), (170.0, 25)], [100.0, 170.0]),
        ([(100.0, 25), (110.0, 25), (169.0, 25)], [100.0]),
        ([(0.0, 20)], [0.0]),
    ],
)
def test_a_burst_is_twenty_within_a_minute_after_a_quiet_one(
    seen: list[tuple[float, int]], expected: list[float]
) -> None:
    assert told(*seen) == expected
