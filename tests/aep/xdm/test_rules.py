from typing import Any

import pytest

from aep.xdm.rejection import Rejection, XdmError
from aep.xdm.rules import XdmRules, epoch_seconds, prune_nulls
from aep.xdm.validate import XdmValidator
from testing.defaults import by_default
from tests.aep.xdm.schemas import schema

NOW = 1_750_000_000.0  # 2025-06-15T15:06:40Z
IDENTITIES = {"type": "object", "additionalProperties": {"type": "array", "items": {"type": "object"}}}
TEXT = {"type": "string"}
FIELDS = {
    "_id": TEXT,
    "timestamp": {**TEXT, "format": "date-time"},
    "identityMap": IDENTITIES,
    "_acme": {"type": "object"},
}
EVENTS = schema(FIELDS, **{"meta:extends": ["https://ns.adobe.com/xdm/data/time-series"]})
PROFILES = schema(FIELDS)


def check(entity: dict[str, Any], size: int | None = None, **rules: Any) -> Rejection | None:
    return XdmValidator(EVENTS, by_default(XdmRules, **rules), clock=lambda: NOW).check(entity, size)


def only_error(entity: dict[str, Any], size: int | None = None, **rules: Any) -> tuple[str, str]:
    found = check(entity, size, **rules)
    assert found is not None
    assert found.error_count == 1
    assert found[:3] == (found.errors[0].code, found.errors[0].message, found.errors[0].pointer)
    return found.code, found.pointer


def test_size_of_events_and_of_other_records() -> None:
    assert check({}, 10_240) is None
    assert only_error({}, 10_241) == ("too_large", "")
    assert check({}, 500, max_event_bytes=500) is None
    assert only_error({}, 501, max_event_bytes=500) == ("too_large", "")
    profiles = XdmValidator(PROFILES, by_default(XdmRules))
    assert profiles.check({}, 102_400) is None
    too_large = profiles.check({}, 102_401)
    assert too_large is not None
    assert too_large.message == "102,401 bytes exceed the limit of 102,400 bytes"


def test_an_id_is_not_blank() -> None:
    assert check({"_id": "x"}) is None
    assert only_error({"_id": ""}) == ("empty_id", "/_id")
    assert only_error({"_id": " \t"}) == ("empty_id", "/_id")


@pytest.mark.parametrize(
    ("timestamp", "code"),
    [
        ("2025-06-15T15:06:40Z", None),
        ("2025-06-15T15:11:40Z", None),
        ("2025-06-15T15:11:41Z", "timestamp_future"),
        ("2025-06-15T17:11:40.999999999+02:00", None),
        ("2025-06-15T17:11:41+02:00", "timestamp_future"),
        ("2025-06-15T13:11:41-02:00", "timestamp_future"),
        ("0001-01-01T00:00:00+18:00", None),
        ("9999-12-31T23:59:59.999-18:00", "timestamp_future"),
    ],
)
def test_events_lie_in_the_past(timestamp: str, code: str | None) -> None:
    found = check({"timestamp": timestamp})
    assert (found.code if found else None) == code


def test_old_events() -> None:
    event = {"timestamp": "2025-06-05T15:06:39Z"}
    assert check(event) is None
    assert check(event, max_age_days=10.1) is None
    assert only_error(event, max_age_days=10) == ("timestamp_old", "/timestamp")


def test_time_is_no_matter_for_profiles() -> None:
    profiles = XdmValidator(PROFILES, by_default(XdmRules, max_age_days=1), clock=lambda: NOW)
    assert profiles.check({"timestamp": "2999-01-01T00:00:00Z"}) is None


def test_epoch_seconds_of_what_is_no_date_time() -> None:
    assert epoch_seconds("1970-01-01T00:01:00Z") == 60
    for text in ("", "Z", "2020", "2020-02-30T00:00:00Z", "２０20-01-01T00:00:00Z"):
        assert epoch_seconds(text) is None


def test_all_broken_rules_are_told() -> None:
    entity = {"_id": "", "timestamp": "2999-01-01T00:00:00Z", "identityMap": {"Email": [{"id": ""}]}}
    found = check(entity, identity="required")
    assert found is not None
    assert [error.code for error in found.errors] == ["empty_id", "timestamp_future", "empty_identity", "no_identity"]


@pytest.mark.parametrize(
    ("before", "after"),
    [
        ({"a": None}, {}),
        ({"a": {"b": None}, "c": 1}, {"a": {}, "c": 1}),
        ({"a": [{"b": None, "c": 0}, None, 1]}, {"a": [{"c": 0}, None, 1]}),
        ({"a": [[{"b": None}]]}, {"a": [[{}]]}),
    ],
)
def test_nulls_are_left_out(before: dict[str, Any], after: dict[str, Any]) -> None:
    original = repr(before)
    assert prune_nulls(before) == (after, True)
    assert repr(before) == original


def test_a_record_without_null_members_is_handed_back() -> None:
    for entity in ({}, {"a": {"b": ["", 0, False, {}, None]}}):
        pruned, changed = prune_nulls(entity)
        assert pruned is entity
        assert not changed


def test_rules_are_hashable_and_errors_are_plain() -> None:
    assert hash(by_default(XdmRules, namespaces=("Email",))) == hash(by_default(XdmRules, namespaces=("Email",)))
    assert XdmError("a", "b", "c", "d")._asdict() == {
        "code": "a",
        "pointer": "b",
        "schema_pointer": "c",
        "message": "d",
    }
