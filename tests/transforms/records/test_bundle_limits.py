"""Limits of bundles where readers share a thread, and where two bundles are open."""

from __future__ import annotations

from transforms.records.bundle_limits import BundleLimits


def test_on_a_shared_thread_waiting_is_short_and_never_longer_than_asked() -> None:
    limits = BundleLimits(max_records=9, max_bytes=8, max_seconds=7.0, linger_seconds=6.0)
    assert limits.on_shared_thread() == BundleLimits(
        9, 8, 7.0, linger_seconds=0.2, idle_seconds=0.05, quiet_seconds=0.05
    )
    short = BundleLimits(9, 8, 7.0, linger_seconds=0.1, idle_seconds=0.01, quiet_seconds=0.02)
    assert short.on_shared_thread() == short


def test_two_open_bundles_stay_within_the_limits_together_and_each_holds_a_record() -> None:
    limits = BundleLimits(max_records=9, max_bytes=8, max_seconds=7.0, linger_seconds=6.0)
    assert limits.for_two_open() == BundleLimits(4, 4, 7.0, linger_seconds=6.0)
    assert BundleLimits(1, 1, 7.0, linger_seconds=6.0).for_two_open().max_records == 1
