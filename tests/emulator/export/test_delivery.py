"""What becomes of exports that a stream does not take, and of those that wait when the emulator is killed."""

from __future__ import annotations

import random
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import orjson
import pytest

from testing.services.kinesis import Kinesis
from testing.services.process import PATIENCE_SECONDS, wait_for
from tests.emulator.export.scenario import Members, read

GOLD = 'TENANT.tier = "gold"'


@pytest.fixture
def members(kinesis: Kinesis) -> Members:
    return Members(kinesis)


@pytest.fixture
def stream(kinesis: Kinesis) -> str:
    return kinesis.create_stream()


def counts(entered: int, sent: int, failed: int) -> dict[str, int]:
    return {"inputRecordCount": entered, "outputRecordCount": sent, "failedRecordCount": failed}


@pytest.mark.parametrize(
    ("switches", "code"),
    [
        ({"record_rate": {"InternalFailure": 1}}, "InternalFailure"),
        ({"denied_actions": ["kinesis:PutRecords"]}, "AccessDeniedException"),
    ],
)
def test_what_is_refused_three_times_is_counted_as_failed(
    members: Members, stream: str, switches: dict[str, Any], code: str
) -> None:
    gold = members.audience(GOLD)
    destination = members.destination(stream, gold)
    members.kinesis.switch(**switches)
    members.record("a@x.de", tier="gold")
    assert members.exported(stream) == []
    assert members.run(destination) == counts(1, 0, 1)
    path = f"/data/foundation/flowservice/runs?property=flowId=={destination.flow_id}"
    (run,) = members.platform.get(path)["items"]
    assert run["metrics"]["statusSummary"]["status"] == "failed"
    (error,) = run["metrics"]["statusSummary"]["errors"]
    assert error["code"] == code
    assert members.platform.get(f"/data/foundation/flowservice/runs/{run['id']}")["items"] == [run]
    assert members.platform.call("GET", "/data/foundation/flowservice/runs/none").status_code == 404
    members.kinesis.clear_switches()
    members.record("b@x.de", tier="gold")
    assert len(members.exported(stream)) == 1
    assert members.run(destination) == counts(2, 1, 1)


def test_what_is_refused_is_tried_twice_more(members: Members, stream: str) -> None:
    """Half of all puts fail: of 800 records about 100 fail three times; twice it would be 200."""
    gold = members.audience(GOLD)
    destination = members.destination(stream, gold)
    members.kinesis.switch(record_rate={"InternalFailure": 0.5}, seed=1)
    members.gold(range(800))
    members.settle()
    run = members.run(destination)
    sent = [key for key, _ in read(members.kinesis, stream)]
    assert run == counts(800, len(sent), 800 - len(sent))
    assert 650 < len(set(sent)) == len(sent) < 750


def test_a_stream_at_its_limits_takes_all_in_the_end(members: Members, stream: str) -> None:
    """A shard takes 1,000 records a second."""
    gold = members.audience(GOLD)
    members.gold(range(1500))
    members.settle()
    destination = members.destination(stream, gold)
    members.settle()
    assert members.run(destination) == counts(1500, 1500, 0)
    assert len({key for key, _ in read(members.kinesis, stream)}) == 1500


def test_a_disabled_dataflow_sends_nothing_more(members: Members, stream: str) -> None:
    gold = members.audience(GOLD)
    destination = members.destination(stream, gold)
    members.kinesis.switch(record_rate={"InternalFailure": 1})
    members.record("a@x.de", tier="gold")
    wait_for(lambda: members.run(destination)["inputRecordCount"] == 1, PATIENCE_SECONDS, "the export to be queued")
    action = f"/data/foundation/flowservice/flows/{destination.flow_id}/action?op=disable"
    assert members.platform.call("POST", action).status_code == 200
    members.settle()
    assert members.run(destination) == counts(1, 0, 1)


def test_a_reset_while_a_put_is_under_way(members: Members, stream: str) -> None:
    gold = members.audience(GOLD)
    destination = members.destination(stream, gold)
    members.kinesis.switch(latency_ms=1000)
    members.record("a@x.de", tier="gold")
    wait_for(lambda: members.run(destination)["inputRecordCount"] == 1, PATIENCE_SECONDS, "the export to be queued")
    members.kinesis.reset()
    members.record("b@x.de", tier="gold")
    members.settle()
    assert members.run(destination) == counts(1, 1, 0)


class Oracle:
    """What must be on the stream, kept by following what was sent."""

    def __init__(self, gold: str) -> None:
        self.gold = gold
        self.tiers: dict[str, str] = {}
        self.expected: list[tuple[str, str, str | None]] = []  # address, status, city

    def record(self, email: str, tier: str, city: str) -> None:
        was, self.tiers[email] = self.tiers.get(email), tier
        if tier == "gold":  # entered, or an attribute of a member was written
            self.expected.append((email, "realized", city))
        elif was == "gold":
            self.expected.append((email, "exited", city))

    def found(self, record: dict[str, Any], tenant: str) -> tuple[str, str, str | None]:
        (identity,) = record["identityMap"]["email"]
        return identity["id"], record["segmentMembership"]["ups"][self.gold]["status"], record[tenant].get("city")


@pytest.fixture
def own_kinesis(tmp_path: Path) -> Iterator[Kinesis]:
    with Kinesis(state=tmp_path / "state.db") as running:
        yield running


def test_every_change_is_accounted_for_over_kills(own_kinesis: Kinesis) -> None:
    """Killed while messages are validated, while exports wait, and while they are written."""
    members = Members(own_kinesis)
    stream = own_kinesis.create_stream(2)
    gold = members.audience(GOLD)
    destination = members.destination(stream, gold, attributes=("city",))
    oracle = Oracle(gold)
    draw = random.Random(7)
    for step in range(4):
        if step % 2:  # exports wait when the kill comes
            own_kinesis.switch(latency_ms=500)
        for number in range(150):
            email = f"{draw.randrange(20)}@x.de"
            tier, city = draw.choice(["gold", "silver"]), f"city {step}-{number}"
            members.record(email, tier=tier, city=city)
            oracle.record(email, tier, city)
        own_kinesis.kill()
        own_kinesis.start()
        own_kinesis.clear_switches()
        members.platform.authorise()
    members.settle()
    found = [oracle.found(orjson.loads(data), members.tenant) for _, data in read(own_kinesis, stream)]
    # a kill between a put and its note has records sent again, and no other record is there
    assert sorted(set(found)) == sorted(oracle.expected)
    run = members.run(destination)
    assert run == counts(len(oracle.expected), len(oracle.expected), 0)
    assert len(found) >= len(oracle.expected)


def test_a_backfill_goes_on_after_a_kill(own_kinesis: Kinesis) -> None:
    members = Members(own_kinesis)
    stream = own_kinesis.create_stream()
    gold = members.audience(GOLD)
    members.gold(range(300))
    members.settle()
    own_kinesis.faults(backfill_s=3600)
    destination = members.destination(stream, gold)
    own_kinesis.kill()
    own_kinesis.start()
    members.platform.authorise()
    assert own_kinesis.local("GET", "exports")["backfills"] == 1
    own_kinesis.faults(backfill_s=0)
    wait_for(lambda: members.run(destination)["inputRecordCount"] > 0, PATIENCE_SECONDS, "the backfill to begin")
    own_kinesis.kill()
    own_kinesis.start()
    members.platform.authorise()
    members.settle()
    assert {key for key, _ in read(own_kinesis, stream)} == {f"{number}@x.de" for number in range(300)}
    assert members.run(destination) == counts(300, 300, 0)
