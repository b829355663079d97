"""Different events that share an `_id`: what counts as one, and what says nothing."""

from __future__ import annotations

import orjson
import pytest

from aep.ingestion.envelope import Destination, Payload
from aep.mapping.repeated_ids import IdSample, RepeatedIds, sample_of
from aep.xdm.schema import ResolvedSchema, parse_schema


def event(identifier: str, **more: object) -> bytes:
    return orjson.dumps({"_id": identifier, **more})


def schema(*required: str) -> ResolvedSchema:
    document = {
        "$id": "https://ns.adobe.com/acme/schemas/x",
        "version": "1.0",
        "properties": {name: {"type": "string"} for name in ("_id", "timestamp")},
        "required": required,
    }
    return parse_schema(orjson.dumps(document), "x.json")


def test_events_that_differ_and_share_an_id_are_counted_and_those_that_come_again_are_not() -> None:
    sample = IdSample(in_message=False)
    first = [event("a", n=1), event("b", n=1), event("a", n=2), event("a", n=3)]
    assert sample.add(first) == RepeatedIds(2, 4)
    assert sample.add([*first, event("b", n=1)]) == RepeatedIds(0, 0)  # a retry, a replay, a producer's duplicate
    assert sample.add([event("b", n=2)]) == RepeatedIds(1, 1)
    assert sample.found == RepeatedIds(3, 5)


def test_it_looks_at_so_many_events_and_no_more() -> None:
    sample = IdSample(in_message=False, limit=3)
    assert sample.add([event("a", n=number) for number in range(10)]) == RepeatedIds(2, 3)
    assert sample.is_full
    assert sample.add([event("b", n=number) for number in range(10)]) == RepeatedIds(0, 0)


@pytest.mark.parametrize("body", [b"{}", b'{"_id":null}', b'{"_id":5}', b'{"_id":["a"]}'])
def test_events_without_an_id_are_not_looked_at(body: bytes) -> None:
    sample = IdSample(in_message=False)
    assert sample.add([body, body[:-1] + b" }"]) == RepeatedIds(0, 0)


def test_ids_in_whole_messages() -> None:
    sample = IdSample(in_message=True)
    messages = [orjson.dumps({"header": {}, "body": {"xdmEntity": {"_id": "a", "n": number}}}) for number in (1, 2)]
    assert sample.add(messages) == RepeatedIds(1, 2)


@pytest.mark.parametrize(
    ("payload", "required", "looks"),
    [
        ("entity", ["_id", "timestamp"], True),
        ("message", ["_id", "timestamp"], True),
        ("raw", ["_id", "timestamp"], False),
        ("entity", ["_id"], False),
    ],
)
def test_only_events_are_looked_at(payload: Payload, required: list[str], looks: bool) -> None:
    assert (sample_of(Destination("https://h/collection/i", payload), schema(*required)) is not None) == looks
    assert sample_of(Destination("https://h/collection/i", payload), None) is None


def test_the_warning_says_what_is_lost_and_what_to_do() -> None:
    assert RepeatedIds(0, 9).warning == ""
    warning = RepeatedIds(4_999, 5_000).warning
    assert warning.startswith("4,999 of the 5,000 different events looked at have an _id that another one has")
    assert "Profile keeps one event of each _id" in warning
    assert "xdm_id_from" in warning
