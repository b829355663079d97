"""The quick yes to valid records: never to one that the schema or a rule refuses, and to most of the others."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import orjson
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from aep.xdm.fast_check import FastCheck
from aep.xdm.harden import harden
from aep.xdm.identities import MAX_IDENTITIES, identity_fields
from aep.xdm.rules import XdmRules
from aep.xdm.schema import ResolvedSchema
from aep.xdm.validate import XdmValidator
from samples.loyalty import Kind, generate
from testing.defaults import by_default
from tests.aep.xdm.schemas import EVENT, PROFILE, schema

NOW = 1_764_400_000.5  # 2025-11-29T07:06:40.5Z

# Nothing in it is declared, so that records may hold anything where the rules look.
ANYTHING = schema({"name": {"type": "string"}})
ANY_EVENT = replace(ANYTHING, sha256="event", is_event=True)
DEFAULT = by_default(XdmRules)
OPEN = replace(DEFAULT, unknown_fields="allow")
RULES = {
    "default": OPEN,
    "identity": replace(OPEN, identity="required"),
    "namespaces": replace(OPEN, namespaces=("Email", "eCID")),
    "fields": replace(OPEN, primary_identity=("/_acme/memberId", "/people/0")),
    "age": replace(OPEN, max_age_days=2.00001, max_future_seconds=0.25),
    "any age": replace(OPEN, max_age_days=1e9, max_future_seconds=1e15),
}


class SlowValidator(XdmValidator):
    """As if there were no quick yes."""

    def __init__(self, schema: ResolvedSchema, rules: XdmRules) -> None:
        super().__init__(schema, rules, lambda: NOW)
        self.surely_fit = lambda entities: [False] * len(entities)  # type: ignore[assignment]


def fast_check(of: ResolvedSchema, rules: XdmRules) -> FastCheck:
    fields = identity_fields(of.identities, rules.primary_identity)
    hardened = harden(
        orjson.loads(of.document), unknown_fields=rules.unknown_fields, integer_ranges=rules.integer_ranges
    )
    wants_map = rules.identity == "required" and not any(field.required for field in fields)
    return FastCheck(hardened, of.is_event, fields, wants_map, rules, lambda: NOW)


CHECKS = [(fast_check(of, rules), SlowValidator(of, rules)) for of in (ANYTHING, ANY_EVENT) for rules in RULES.values()]

HALVES = ("0" * 19, f"{1:019}", f"{10**17:019}", f"{2**63 - 1}", f"{2**63}", "9" * 19, "4611686018427387904")
texts = st.one_of(
    st.sampled_from(["", " ", "\t\x1c", "\u2003", "é", "null", "anonymous", "invalid", "Null", "invalid ", "a" * 9]),
    st.sampled_from(["a", "abcdefghij", "x" * 1024, "x" * 1025, "é" * 1024, "\n" + "b" * 12, "a\nbcdefghijk"]),
    st.builds(str.__add__, st.sampled_from(HALVES), st.sampled_from(HALVES)),
    st.text(max_size=12),
)
values = st.one_of(texts, st.sampled_from([None, True, False, 0, 7, 1.5, [], {}, ["a"], {"id": "a"}]))
identities = st.one_of(
    st.fixed_dictionaries({"id": values}, optional={"primary": st.sampled_from([True, False, 1, "yes", None])}),
    values,
)
identity_maps = st.one_of(
    st.dictionaries(
        st.sampled_from(["Email", "email", "ECID", "eCID", "Ecid", "ECID2", "Crm", "Phone", "a", "b"]),
        st.one_of(st.lists(identities, max_size=6), values),
        max_size=7,
    ),
    values,
)
timestamps = st.one_of(
    values,
    st.sampled_from(
        [
            *("2025-11-29T07:06:40Z", "2025-11-29T07:06:41Z", "2025-11-29T07:06:40.9Z", "2025-11-29T07:06:40.9+00:00"),
            *("2025-11-27T07:06:38Z", "2025-11-27T07:06:39Z", "2025-11-27T07:06:40Z", "2025-11-27T07:06:41Z"),
            *("2025-11-29T09:06:40+02:00", "2025-11-29T07:06:40-02:00", "2025-02-30T00:00:00Z", "0000-01-01T00:00:00Z"),
            *("0001-01-01T00:00:00Z", "9999-12-31T23:59:59Z", "20251129T070640Z", "2025-W01-1T00:00:00Z", "2025-11-29"),
            *("2025-11-29T07:06:40ZZ", "2025-11-29T07:06:40.Z", "\u0662025-11-29T07:06:40Z"),
        ]
    ),
)
records = st.fixed_dictionaries(
    {},
    optional={
        "_id": values,
        "timestamp": timestamps,
        "identityMap": identity_maps,
        "name": st.sampled_from(["Ada", 1]),
        "_acme": st.one_of(st.fixed_dictionaries({}, optional={"memberId": values}), values),
        "people": st.one_of(st.lists(values, max_size=2), st.dictionaries(st.sampled_from(["0", "1"]), values)),
    },
)
MOST = [{"id": f"{number}@example.com", "primary": not number} for number in range(MAX_IDENTITIES + 1)]


@settings(max_examples=300, deadline=None)
@given(records)
@example({"identityMap": {"Email": MOST[:-1]}})
@example({"identityMap": {"Email": MOST}})
@example({"identityMap": dict.fromkeys("abcdef", MOST[:4])})
@example({"identityMap": {"Email": [MOST[0]], "Crm": [MOST[0]]}})
@example({"identityMap": {"Email": [{"id": "a@example.com", "primary": 1}]}})
@example({"_id": "a", "_acme": {"memberId": "A-1"}, "people": ["B-1"]})
def test_what_it_takes_no_rule_refuses(record: dict[str, Any]) -> None:
    for check, slow in CHECKS:
        if all(check([record])):
            assert slow.check(record) is None


@settings(max_examples=100, deadline=None)
@given(st.lists(st.one_of(records, st.sampled_from([{"name": b"no JSON"}, {"name": {1: "no name"}}])), max_size=5))
def test_records_are_judged_together_as_alone(some: list[dict[str, Any]]) -> None:
    for check, _ in CHECKS:
        assert check(some) == [sure for one in some for sure in check([one])]


@pytest.mark.parametrize("kind", ["events", "profiles"])
def test_the_samples_are_judged_alike(kind: Kind) -> None:
    of = EVENT if kind == "events" else PROFILE
    check, slow = fast_check(of, DEFAULT), SlowValidator(of, DEFAULT)
    validator = XdmValidator(of, DEFAULT, lambda: NOW)
    for broken_share in (0.0, 0.5):
        entities = []
        for one in generate(2_000, kind=kind, broken_share=broken_share):
            try:
                entity = orjson.loads(one.value)
            except orjson.JSONDecodeError:
                continue
            if isinstance(entity, dict):
                entities.append(entity)
        judged = [slow.check(entity) for entity in entities]
        assert [validator.check(entity) for entity in entities] == judged
        passed = sum(found is None for found in judged)
        assert sum(check(entities)) > 0.97 * passed  # otherwise it would cost more than it saves


@pytest.mark.parametrize(
    "record",
    [
        {},
        {"_id": "1", "timestamp": "2025-11-29T07:06:40.123Z", "identityMap": {}},
        {"_id": "1", "timestamp": "2025-11-29T07:06:40.123+00:00", "identityMap": {}},
        {"identityMap": {"Email": [{"id": "a@example.com", "primary": True}], "ECID": [{"id": "1" * 38}]}},
    ],
)
def test_it_says_yes_to_ordinary_records(record: dict[str, Any]) -> None:
    assert fast_check(ANY_EVENT, OPEN)([record]) == [True]
