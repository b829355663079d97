import copy
import datetime
import pickle
import threading
import time
from typing import Any

import jsonschema
import orjson
import pytest

from aep.xdm.harden import harden
from aep.xdm.rejection import Rejection
from aep.xdm.rules import XdmRules
from aep.xdm.validate import XdmValidator, validator_for
from samples.loyalty import generate
from testing.defaults import by_default
from tests.aep.xdm.schemas import EVENT, PROFILE, schema

TEXT = {"type": "string"}


def rejected(validator: XdmValidator, entity: dict[str, Any]) -> Rejection:
    found = validator.check(entity)
    assert found is not None
    return found


def check_value(field: dict[str, Any], value: Any) -> Rejection:
    return rejected(XdmValidator(schema({"value": field}), by_default(XdmRules)), {"value": value})


@pytest.mark.parametrize(
    ("field", "value", "code", "message"),
    [
        ({"type": "string"}, 5, "type", "expected type: String, found: Long"),
        ({"type": "integer"}, 7.0, "type", "expected type: Integer, found: Double"),
        ({"type": "integer"}, True, "type", "expected type: Integer, found: Boolean"),
        ({"type": "integer"}, 1.8446744073709552e19, "type", "expected type: Integer, found: Double"),
        ({"type": "number"}, "1", "type", "expected type: Number, found: String"),
        ({"type": "boolean"}, None, "type", "expected type: Boolean, found: Null"),
        ({"type": "object"}, [], "type", "expected type: JSONObject, found: JSONArray"),
        ({"type": ["string", "array"]}, {}, "type", "expected type: JSONArray or String, found: JSONObject"),
        ({"type": "integer", "meta:xdmType": "int"}, 2**31, "maximum", "2147483648 is not less or equal to 2147483647"),
        ({"type": "integer", "meta:xdmType": "byte"}, -129, "minimum", "-129 is not greater or equal to -128"),
        ({"enum": ["a", "b"]}, "c", "enum", "c is not a valid enum value: expected one of a, b"),
        ({"enum": ["a", "b"]}, None, "enum", "null is not a valid enum value: expected one of a, b"),
        ({"enum": ["a"]}, "c", "enum", "c is not a valid enum value: expected a"),
        ({"enum": list("abcdefg")}, 7, "enum", "7 is not a valid enum value: expected one of a, b, c, d, e or 2 more"),
        ({"pattern": "^[A-Z]{3}$"}, "eur", "pattern", "string [eur] does not match pattern ^[A-Z]{3}$"),
        ({"minLength": 1}, "", "minLength", "expected minLength: 1, actual: 0"),
        ({"maxLength": 2}, "日本語", "maxLength", "expected maxLength: 2, actual: 3"),
        ({"minItems": 1}, [], "minItems", "expected minimum item count: 1, found: 0"),
        ({"maxItems": 1}, [1, 2], "maxItems", "expected maximum item count: 1, found: 2"),
        ({"minProperties": 1}, {}, "minProperties", "expected minimum property count: 1, found: 0"),
        ({"maxProperties": 1}, {"a": 1, "b": 2}, "maxProperties", "expected maximum property count: 1, found: 2"),
        ({"format": "ipv4"}, "1.2.3", "format", "[1.2.3] is not a valid ipv4"),
    ],
)
def test_messages_are_in_platforms_words(field: dict[str, Any], value: Any, code: str, message: str) -> None:
    found = check_value(field, value)
    assert (found.code, found.pointer, found.message) == (code, "/value", message)


def test_the_library_words_the_rest() -> None:
    found = check_value({"uniqueItems": True}, [1, 1])
    assert found.code == "uniqueItems"
    assert found.message


def test_missing_and_unknown_fields() -> None:
    validator = XdmValidator(schema({"a": TEXT, "b": TEXT}, required=["a", "b"]), by_default(XdmRules))
    found = rejected(validator, {"x": 1, "y": 2})
    assert [(error.code, error.pointer, error.message) for error in found.errors] == [
        ("required", "", "required key [a] not found"),
        ("required", "", "required key [b] not found"),
        ("additionalProperties", "", "extraneous key [x] is not permitted"),
        ("additionalProperties", "", "extraneous key [y] is not permitted"),
    ]


def test_unknown_fields_may_be_allowed() -> None:
    assert XdmValidator(EVENT, by_default(XdmRules)).check(good_event() | {"x": 1}) is not None
    assert XdmValidator(EVENT, by_default(XdmRules, unknown_fields="allow")).check(good_event() | {"x": 1}) is None


def test_integer_ranges_can_be_left_out() -> None:
    field = {"value": {"type": "integer", "meta:xdmType": "int"}}
    assert XdmValidator(schema(field), by_default(XdmRules, integer_ranges=False)).check({"value": 2**40}) is None


def test_the_tenant_namespace_of_someone_else() -> None:
    with_tenant = schema(
        {"_acme": {"type": "object"}, "a": {"properties": {"b": TEXT}}}, **{"meta:tenantNamespace": "_acme"}
    )
    validator = XdmValidator(with_tenant, by_default(XdmRules))
    found = rejected(validator, {"_other": {}})
    assert (found.code, found.message) == (
        "wrong_tenant",
        "[_other] is not the tenant namespace of this schema, [_acme]",
    )
    assert rejected(validator, {"other": {}}).code == "additionalProperties"
    assert rejected(validator, {"_experience": {}}).code == "additionalProperties"
    assert rejected(validator, {"a": {"_other": 1}}).code == "additionalProperties"
    unknown_tenant = schema({"a": TEXT})
    assert rejected(XdmValidator(unknown_tenant, by_default(XdmRules)), {"_other": 1}).code == "additionalProperties"


def test_errors_come_in_the_records_order_and_at_most_twenty() -> None:
    validator = XdmValidator(
        schema({"list": {"type": "array", "items": TEXT}, "a/b": {"properties": {"c~d": TEXT}}}), by_default(XdmRules)
    )
    found = rejected(validator, {"list": list(range(30)), "a/b": {"c~d": 1}})
    assert found.error_count == 31
    assert [error.pointer for error in found.errors] == ["/a~1b/c~0d", *[f"/list/{index}" for index in range(19)]]
    assert found.errors[0].schema_pointer == "/properties/a~1b/properties/c~0d/type"


def test_messages_are_short() -> None:
    found = rejected(
        XdmValidator(schema({"a": {"enum": ["x"]}}), by_default(XdmRules)), {"a": "y" * 10_000, "z" * 10_000: 1}
    )
    assert all(len(error.message) <= 200 for error in found.errors)


class _Strange:
    pass


@pytest.mark.parametrize(
    "value",
    [
        datetime.datetime(2025, 1, 1, tzinfo=datetime.timezone.utc),
        b"bytes",
        {1, 2},
        _Strange(),
        "\ud800",
        {1: "a"},
        float("nan"),
        float("inf"),
        2**200,
        [[[[]]]],
    ],
)
@pytest.mark.parametrize("field", [{}, TEXT, {"type": "object", "properties": {"b": TEXT}}, {"type": "integer"}])
def test_it_never_raises(field: dict[str, Any], value: Any) -> None:
    validator = XdmValidator(schema({"a": field}), by_default(XdmRules))
    for entity in ({"a": value}, {"a": value, "b": 1}, {"b": value}):
        found = validator.check(entity)
        assert found is None or found.error_count >= 1


def test_deep_nesting_is_a_rejection() -> None:
    deep: dict[str, Any] = {}
    for _ in range(2000):
        deep = {"a": deep}
    found = rejected(XdmValidator(schema({"a": TEXT}), by_default(XdmRules)), deep)
    assert found.code == "too_deep"


def test_what_json_cannot_hold_is_a_rejection() -> None:
    assert rejected(XdmValidator(schema({"a": TEXT}), by_default(XdmRules)), {"a": {1, 2}}).code == "json"


def test_one_validator_for_a_schema_and_rules() -> None:
    found: list[XdmValidator] = []
    twin = pickle.loads(pickle.dumps(EVENT))
    rules = by_default(XdmRules, max_event_bytes=10_000)
    threads = [
        threading.Thread(target=lambda: found.append(validator_for(twin, by_default(XdmRules, max_event_bytes=10_000))))
        for _ in range(8)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(found) == 8
    assert all(validator is validator_for(EVENT, rules) for validator in found)
    assert validator_for(EVENT, by_default(XdmRules)) is validator_for(EVENT, by_default(XdmRules))
    assert validator_for(EVENT, by_default(XdmRules)) is not validator_for(EVENT, rules)
    assert validator_for(EVENT, by_default(XdmRules)) is not validator_for(PROFILE, by_default(XdmRules))


def test_rules_travel_and_validators_do_not() -> None:
    rules = by_default(XdmRules, namespaces=("Email",), primary_identity=("/_acme/id",))
    assert pickle.loads(pickle.dumps(rules)) == rules
    with pytest.raises(TypeError):
        pickle.dumps(XdmValidator(EVENT, by_default(XdmRules)))


def good_event() -> dict[str, Any]:
    event: dict[str, Any] = orjson.loads(next(generate(1, kind="events")).value)
    return event


def test_the_record_stays_as_it_is() -> None:
    event = good_event() | {"x": 1}
    before = copy.deepcopy(event)
    XdmValidator(EVENT, by_default(XdmRules)).check(event)
    assert event == before


def test_it_is_much_faster_than_the_reference() -> None:
    event = good_event()
    ours = XdmValidator(EVENT, by_default(XdmRules))
    reference = jsonschema.Draft4Validator(
        harden(orjson.loads(EVENT.document), integer_ranges=True, unknown_fields="reject")
    )
    assert ours.check(event) is None

    def seconds(function: Any, calls: int) -> float:
        start = time.thread_time()  # of the processor: a busy machine takes its own
        for _ in range(calls):
            function(event)
        return (time.thread_time() - start) / calls

    ratios = sorted(seconds(reference.is_valid, 5) / seconds(ours.check, 500) for _ in range(7))
    assert ratios[3] > 20
