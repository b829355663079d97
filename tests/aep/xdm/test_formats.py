"""The formats decide as Experience Platform's validator on the JVM does; each line was run against the JDK."""

import pytest

from aep.xdm.rules import XdmRules
from aep.xdm.validate import XdmValidator
from testing.defaults import by_default
from tests.aep.xdm.schemas import schema

VALIDATORS = {
    name: XdmValidator(schema({"value": {"type": "string", "format": name}}), by_default(XdmRules))
    for name in ("date", "date-time", "uri", "uri-reference", "email")
}

ACCEPTED = {
    "date": ["2020-02-29", "0001-01-01", "9999-12-31"],
    "date-time": [
        "2019-09-23T22:07:01Z",
        "2019-09-23T22:07:01.1Z",
        "2019-09-23T22:07:01.123456789Z",
        "2019-09-23T22:07:01+05:30",
        "2019-09-23T22:07:01.5-18:00",
    ],
    "uri": ["http://example.com/a?b=c#d", "//cdn/x", "http://é.com/", "mailto:a@b.c", "urn:isbn:123", "file:///x"],
    "uri-reference": ["", "#f", "?q", "a/b:c", "/a//b", "a%20b", "loyalty-7-000000001", "日本", "http://[::1]:80/x"],
    "email": ["jane@example.com", "o'neil+a@example.co.uk", "jörg@example.com", "jane@münchen.de", "用户@例子.广告"],
}
REFUSED = {
    "date": [
        "2020-02-30",
        "201--02-23",
        "2020-1-1",
        "0000-01-01",
        "2020-13-01",
        "20200101",
        "2020-01-01T00:00:00Z",
        "",
    ],
    "date-time": [
        "2019-09-23T22:07:01.1234567891Z",
        "2019-09-23t22:07:01Z",
        "2019-09-23T22:07:01z",
        "2019-09-23T22:07:01+18:01",
        "2019-09-23T22:07:01+0530",
        "2019-09-23T22:07:01",
        "2019-09-23T22:07Z",
        "2019-09-23 22:07:01Z",
        "2016-12-31T23:59:60Z",
        "0000-01-01T00:00:00Z",
        "2019-02-30T00:00:00Z",
        "T0-:00:00Z",
        "000+-01-01T00:00:00Z",
        "2019-09-23T22:07:01.Z",
        "2019-09-23T22:07:01Z\n",
        "２019-09-23T22:07:01Z",
    ],
    "uri": ["", "example", "/a", "#f", "http://", "http:", "a b:c", "1http://x", "http://a b/", "http://a/%zz"],
    "uri-reference": [
        "user|1",
        "a b",
        "%zz",
        "2019-01-01T00:00:00Z",
        "a#b#c",
        "a[b]",
        "x\u00a0y",
        "a\u0085",
        "<a>",
        "//",
    ],
    "email": ["jane", "a b@c.d", "a@b..c", "ü@", "jane@example.com\n"],
}


@pytest.mark.parametrize(("name", "value"), [(name, value) for name in ACCEPTED for value in ACCEPTED[name]])
def test_accepted(name: str, value: str) -> None:
    assert VALIDATORS[name].check({"value": value}) is None


@pytest.mark.parametrize(("name", "value"), [(name, value) for name in REFUSED for value in REFUSED[name]])
def test_refused_as_one_format_error(name: str, value: str) -> None:
    found = VALIDATORS[name].check({"value": value})
    assert found is not None
    assert [(error.code, error.pointer) for error in found.errors] == [("format", "/value")]
    assert found.errors[0].schema_pointer == "/properties/value/format"
    assert f"is not a valid {name}" in found.message


def test_a_pattern_beside_a_format_is_kept() -> None:
    validator = XdmValidator(
        schema({"value": {"type": "string", "format": "uri", "pattern": "^https:"}}), by_default(XdmRules)
    )
    assert validator.check({"value": "https://example.com"}) is None
    other = validator.check({"value": "http://example.com"})
    broken = validator.check({"value": "https://"})
    assert other is not None
    assert other.code == "pattern"
    assert broken is not None
    assert broken.code == "format"
    assert broken.errors[0].schema_pointer == "/properties/value/format"


def test_a_format_that_json_schema_does_not_know_is_ignored() -> None:
    validator = XdmValidator(schema({"value": {"type": "string", "format": "url"}}), by_default(XdmRules))
    assert validator.check({"value": "not one"}) is None
