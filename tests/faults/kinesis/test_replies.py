"""Replies of Kinesis that drip or break off on the way, with Toxiproxy between it and the pipelines."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from testing.services.kinesis import ACCESS_KEY_ID, SECRET_ACCESS_KEY, Kinesis
from testing.services.process import PATIENCE_SECONDS, wait_for
from testing.services.toxiproxy import Proxy, Toxiproxy
from tests.faults.kinesis.campaign import Campaign
from tests.transforms.kinesis.drive import Writer, member, source_of
from transforms.worker import metrics

TIMEOUT_SECONDS = 1
DRIP = {"average_size": 1, "size_variation": 0, "delay": 100_000}
"""A byte each tenth of a second: never silent, and a reply would take minutes."""


@pytest.fixture
def way(toxiproxy: Toxiproxy, kinesis: Kinesis) -> Proxy:
    """A proxy in front of Kinesis."""
    return toxiproxy.proxy(kinesis.endpoint.partition("//")[2])


@pytest.mark.kafka
@pytest.mark.parametrize(
    ("kind", "attributes", "timeout_seconds"),
    [("slicer", DRIP, TIMEOUT_SECONDS), ("limit_data", {"bytes": 600}, PATIENCE_SECONDS)],
    ids=["drip", "cut off"],
)
def test_replies_to_the_writer_drip_or_break_off(
    campaign: Campaign, way: Proxy, kind: str, attributes: dict[str, Any], timeout_seconds: float
) -> None:
    spoil(campaign, way, kind, timeout_seconds, **attributes)
    there = campaign.there()
    assert there.total() > len(there)


@pytest.mark.kafka
def test_connections_break_while_a_request_is_sent(campaign: Campaign, way: Proxy) -> None:
    spoil(campaign, way, "limit_data", PATIENCE_SECONDS, stream="upstream", bytes=1_000)
    assert set(campaign.there().values()) == {1}


def spoil(campaign: Campaign, way: Proxy, kind: str, timeout_seconds: float, **attributes: Any) -> None:
    """Run with a toxic for some time, and hold the oracle."""
    campaign.hold_up()

    def broken() -> int:
        return metrics.process_counts()[metrics.RETRIES + "reply"]

    def act() -> None:
        campaign.wait_until_tried_again()
        way.toxic(kind, **attributes)
        wait_for(lambda: broken() >= 1, PATIENCE_SECONDS, "a broken reply")
        campaign.kinesis.clear_switches()
        enough = broken() + 2  # from now on, one reply at most is to records that are not stored
        wait_for(lambda: broken() >= enough, PATIENCE_SECONDS, "broken replies")
        way.clear()

    options = {"kinesis_timeout_seconds": timeout_seconds, "kinesis_max_in_flight": 1}
    with campaign.meanwhile(act):
        assert campaign.run(kinesis_endpoint=f"http://{way.address}", **options) == 0
    assert campaign.check()["retries"]["reply"] >= 3


@pytest.mark.parametrize(
    ("kind", "attributes"),
    [("slicer", DRIP), ("limit_data", {"bytes": 50}), ("limit_data", {"bytes": 1_000})],
    ids=["drip", "cut in the headers", "cut in the body"],
)
def test_replies_to_the_reader_drip_or_break_off(
    kinesis: Kinesis, way: Proxy, monkeypatch: pytest.MonkeyPatch, kind: str, attributes: dict[str, Any]
) -> None:
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", ACCESS_KEY_ID)
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", SECRET_ACCESS_KEY)
    kinesis.switch(limits=False)
    stream = kinesis.create_stream(2)
    writer = Writer(kinesis, stream)
    writer.write(100)
    source = source_of(kinesis, stream)
    access = replace(source.access, endpoint=f"http://{way.address}", timeout_seconds=TIMEOUT_SECONDS)
    reading = member(replace(source, access=access))
    reading.read_until(100)
    way.toxic(kind, **attributes)
    writer.write(100)
    for _ in range(2):
        assert reading.bundle() == 0
    assert (reading.reader.measure_lag() or 0) > 0  # it does not pass for read to the end
    writer.write(200)
    way.clear()
    reading.read_until(400)
    assert sorted(reading.numbers()) == list(range(400))
    reading.assert_in_order()
