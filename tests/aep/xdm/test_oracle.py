"""Agreement with the reference implementation on sample records broken at random places."""

import copy
import random
from collections.abc import Iterator
from typing import Any

import jsonschema
import orjson
import pytest

from aep.xdm.formats import FORMAT_OF
from aep.xdm.harden import harden
from aep.xdm.pointers import pointer
from aep.xdm.rules import XdmRules
from aep.xdm.schema import ResolvedSchema
from aep.xdm.validate import XdmValidator
from samples.loyalty import Kind, generate
from testing.defaults import by_default
from tests.aep.xdm.schemas import EVENT, PROFILE

_DROP = object()
_EXTRA = object()
MUTATIONS: list[Any] = [None, _DROP, _EXTRA, {}, [], 2**70, 1.5, 7.0, -3, "text", "", "2020-13-01T00:00:00Z", True]


def _places(value: Any, path: tuple[Any, ...] = ()) -> Iterator[tuple[Any, ...]]:
    if path:
        yield path
    if isinstance(value, dict | list):
        for step, inner in value.items() if isinstance(value, dict) else enumerate(value):
            yield from _places(inner, (*path, step))


def _mutate(record: dict[str, Any], path: tuple[Any, ...], mutation: Any) -> dict[str, Any]:
    broken = copy.deepcopy(record)
    parent: Any = broken
    for step in path[:-1]:
        parent = parent[step]
    if mutation is _DROP:
        del parent[path[-1]]
    elif mutation is _EXTRA:
        if isinstance(parent, dict):
            parent["notInTheSchema"] = 1
        else:
            parent.append("extra")
    else:
        parent[path[-1]] = copy.deepcopy(mutation)
    return broken


def _expected(validator: jsonschema.Draft4Validator, record: dict[str, Any]) -> set[tuple[str, str]]:
    return {
        (
            "format" if error.validator == "pattern" and error.validator_value in FORMAT_OF else error.validator,
            pointer(list(error.absolute_path)),
        )
        for error in validator.iter_errors(record)
    }


@pytest.mark.parametrize(("kind", "schema"), [("events", EVENT), ("profiles", PROFILE)])
def test_same_verdict_same_places(kind: Kind, schema: ResolvedSchema) -> None:
    randomness = random.Random(5)
    ours = XdmValidator(schema, by_default(XdmRules))
    checker = jsonschema.Draft4Validator.FORMAT_CHECKER
    reference = jsonschema.Draft4Validator(
        harden(orjson.loads(schema.document), integer_ranges=True, unknown_fields="reject"), format_checker=checker
    )
    broken = 0
    for sample in generate(8, kind=kind):
        record = orjson.loads(sample.value)
        places = list(_places(record))
        for path in randomness.sample(places, 40):
            candidate = _mutate(record, path, randomness.choice(MUTATIONS))
            expected = _expected(reference, candidate)
            found = ours.check(candidate)
            if expected:
                broken += 1
                assert found is not None, (path, expected)
                assert {(error.code, error.pointer) for error in found.errors} == expected
            else:
                assert found is None or found.errors[0].schema_pointer == "", (path, found)
    assert broken > 100
