from aep.xdm.rejection import MAX_ERRORS, MAX_MESSAGE, MAX_POINTER, XdmError, rejection, shorten
from aep.xdm.rules import XdmRules
from aep.xdm.validate import XdmValidator
from testing.defaults import by_default
from tests.aep.xdm.schemas import schema

FIELDS = {"_id": {"type": "string"}, "n": {"type": "object", "properties": {"x": {"type": "string", "format": "date"}}}}


def test_several_violations_as_in_the_streaming_validation_guide() -> None:
    found = XdmValidator(schema(FIELDS, required=["n"]), by_default(XdmRules)).check({"_id": 15367038, "workEmail": {}})
    assert found is not None
    assert found.as_adobe() == {
        "schemaLocation": "#",
        "pointerToViolation": "#",
        "causingExceptions": [
            {
                "schemaLocation": "#",
                "pointerToViolation": "#",
                "causingExceptions": [],
                "keyword": "required",
                "message": "required key [n] not found",
            },
            {
                "schemaLocation": "#",
                "pointerToViolation": "#",
                "causingExceptions": [],
                "keyword": "additionalProperties",
                "message": "extraneous key [workEmail] is not permitted",
            },
            {
                "schemaLocation": "#/properties/_id",
                "pointerToViolation": "#/_id",
                "causingExceptions": [],
                "keyword": "type",
                "message": "expected type: String, found: Long",
            },
        ],
        "message": "3 schema violations found",
    }


def test_a_single_violation_stands_alone() -> None:
    found = XdmValidator(schema(FIELDS), by_default(XdmRules)).check({"n": {"x": "12/31/1980"}})
    assert found is not None
    assert found.as_adobe() == {
        "schemaLocation": "#/properties/n/properties/x",
        "pointerToViolation": "#/n/x",
        "causingExceptions": [],
        "keyword": "format",
        "message": "[12/31/1980] is not a valid date",
    }


def test_platform_stops_at_five() -> None:
    found = XdmValidator(schema(FIELDS), by_default(XdmRules)).check({f"x{n}": 1 for n in range(9)})
    assert found is not None
    assert found.error_count == 9
    assert len(found.as_adobe()["causingExceptions"]) == 5


def test_a_rule_is_its_own_keyword() -> None:
    found = XdmValidator(schema(FIELDS), by_default(XdmRules)).check({"_id": ""})
    assert found is not None
    assert found.as_adobe()["keyword"] == "empty_id"
    assert found.as_adobe()["schemaLocation"] == "#"


def test_cut_texts() -> None:
    assert shorten("x" * MAX_MESSAGE) == "x" * MAX_MESSAGE
    assert len(shorten("x" * 500)) == MAX_MESSAGE


def test_the_names_of_a_record_are_cut_however_many_errors_repeat_them() -> None:
    properties = {"m": {"type": "object", "additionalProperties": {"type": "array", "items": {"type": "string"}}}}
    found = XdmValidator(schema(properties), by_default(XdmRules)).check({"m": {"k" * 90_000: [1] * 25}})
    assert found is not None
    assert (found.code, found.error_count, len(found.errors)) == ("type", 25, MAX_ERRORS)
    assert found.pointer == f"/m/{'k' * (MAX_POINTER - 6)}..."
    assert {error.pointer for error in found.errors} == {found.pointer}


def test_whatever_an_error_is_made_of_it_is_short() -> None:
    found = rejection([XdmError("operations", "", "", f"operations has an unknown key {'k' * 1_000}")])
    assert len(found.message) == len(found.errors[0].message) == MAX_MESSAGE
