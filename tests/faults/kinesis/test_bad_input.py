"""Records that no stream takes, between others: each ends in one dead letter, and holds up nobody else."""

from __future__ import annotations

from collections import Counter
from typing import Any

import orjson
import pytest

from tests.faults.kinesis.campaign import PROFILES, Campaign
from transforms.sinks.files import read_files

pytestmark = pytest.mark.kafka


def identified(*ids: str, **more: Any) -> bytes:
    return orjson.dumps({"identityMap": {"ecid": [{"id": one} for one in ids]}, **more})


BAD = {
    b"": ("parse", "empty"),
    b"no JSON": ("parse", "json"),
    b'{"n": "\xff"}': ("parse", "json"),
    b"[]": ("parse", "type"),
    b"\xf3\x89\x9a\xc2\x0a\x01a": ("parse", "json"),
    b'{"identityMap":{"ecid":[{"id":"\\ud83d"}]}}': ("parse", "json"),
    b'{"person":{"name":"without identity"}}': ("post", "bad_key"),
    b'{"identityMap":{"ecid":[{"id":""}]}}': ("post", "bad_key"),
    identified("large", more="x" * 2**20): ("post", "too_large"),
}

GOOD = [
    identified("k" * 256),
    identified("k" * 257),
    identified("\0"),
    identified(*(f"{number:038}" for number in range(10_000))),
    identified("no attributes"),
    # Bytes that no step changes are passed on as they are.
    b'{"identityMap":{"ecid":[{"id":"first"}]},"identityMap":{"ecid":[{"id":"last"}]}}',
    identified("unknown", segmentMembership={"another": {"no-uuid": {"status": "unheard of"}}}),
    identified("Z", segmentMembership={"ups": {"a": {"lastQualificationTime": "2026-11-28T08:00:00Z"}}}),
    identified("offset", segmentMembership={"ups": {"a": {"lastQualificationTime": "2026-11-28T08:00:00+0000"}}}),
    identified("epoch", segmentMembership={"ups": {"a": {"lastQualificationTime": 1648553325000}}}),
]


def test_each_bad_record_becomes_a_dead_letter_and_its_neighbours_are_put(campaign: Campaign) -> None:
    mixed = [value for pair in zip(BAD, GOOD, strict=False) for value in pair] + GOOD[len(BAD) :]
    campaign.broker.produce(campaign.topic, [(None, value, None, 0) for value in mixed])
    assert campaign.run() == 0
    letters = {one.record.value: (one.stage, one.code) for one in read_files(str(campaign.dead_letters))}
    assert letters == BAD
    kept = Counter(each.data for each in campaign.kinesis.records(campaign.stream))
    assert Counter(GOOD) <= kept
    assert kept.total() == PROFILES + len(GOOD)
    found = campaign.summary
    assert (found["read"], found["unaccounted"]) == (PROFILES + len(mixed), 0)
    assert (found["accepted"], sum(found["dead_lettered"].values())) == (PROFILES + len(GOOD), len(BAD))
