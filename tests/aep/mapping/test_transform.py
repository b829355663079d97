from __future__ import annotations

import pickle
from pathlib import Path
from typing import Any

import pytest

from aep.errors import ConfigurationError
from aep.formats.json import ParsedObject
from aep.mapping.transform import Metadata, RecordTransform, TransformError, TransformFault, check_reference

METADATA = Metadata("t", 1, 42, b"k", 1_700_000_000_000, (("h", b"v"),))


def applied(name: str, record: dict[str, Any]) -> ParsedObject | TransformFault | None:
    return RecordTransform(f"tests.own_steps:{name}").load()(record, METADATA)


def test_a_function_makes_another_record_or_changes_the_one_given() -> None:
    assert applied("enrich", {"kind": "a"}) == ({"kind": "a", "name": "t-1-42"}, b'{"kind":"a","name":"t-1-42"}')
    assert applied("in_place", {"other": 1}) == ({"n": 2}, b'{"n":2}')


def test_what_it_returned_is_its_own_and_text_is_text_whatever_its_class() -> None:
    one, other = applied("reused", {"name": "one"}), applied("reused", {"name": "other"})
    assert (one, other) == (({"name": "one"}, b'{"name":"one"}'), ({"name": "other"}, b'{"name":"other"}'))
    made = applied("text_of_a_library", {})
    assert isinstance(made, ParsedObject)
    assert type(made.entity["name"]) is str


def test_a_function_drops_a_record_by_none() -> None:
    assert applied("enrich", {"kind": "b"}) is None


def test_what_a_function_raises_is_a_fault_with_its_type_and_words_on_one_line() -> None:
    assert applied("enrich", {"kind": 1, "name": "hunter2"}) == TransformFault(
        "transform", "ValueError: kind 1 is unknown"
    )


def test_the_words_of_an_exception_are_cut_and_can_be_written() -> None:
    fault = applied("long_words", {})
    assert isinstance(fault, TransformFault)
    assert len(fault.message.encode()) == 500


def test_a_function_is_told_where_and_when_the_record_was_written() -> None:
    made = applied("metadata_of", {})
    assert isinstance(made, ParsedObject)
    assert made.entity == {
        "topic": "t",
        "partition": 1,
        "offset": 42,
        "key": "k",
        "timestamp": 1_700_000_000_000,
        "headers": {"h": "b'v'"},
    }


@pytest.mark.parametrize(
    ("name", "words"),
    [
        ("a_list", "tests.own_steps:a_list returned list, expected a dict or None"),
        (
            "a_set",
            "tests.own_steps:a_set returned a value that JSON cannot represent: Type is not JSON serializable: set",
        ),
        ("a_date", "tests.own_steps:a_date returned values that JSON cannot represent: expected "),
        ("not_a_number", "tests.own_steps:not_a_number returned values that JSON cannot represent: expected "),
    ],
)
def test_a_result_that_is_not_a_json_object_is_refused(name: str, words: str) -> None:
    fault = applied(name, {"secret": "hunter2"})
    assert isinstance(fault, TransformFault)
    assert fault.code == "transform_result"
    assert fault.message.startswith(words)
    assert "hunter2" not in fault.message


@pytest.mark.parametrize(
    ("reference", "words"),
    [
        ("acme_not_there:enrich", "transform acme_not_there:enrich cannot be imported: ModuleNotFoundError: No module"),
        ("tests.own_steps:nothing", "transform tests.own_steps:nothing cannot be imported: AttributeError: module"),
        ("tests.own_steps:NOT_A_FUNCTION", "must be a function that takes two arguments, a record and its metadata"),
        ("tests.own_steps:no_metadata", "must be a function that takes two arguments, a record and its metadata"),
    ],
)
def test_a_function_that_cannot_be_imported_or_called_says_so(reference: str, words: str) -> None:
    with pytest.raises(TransformError) as caught:
        RecordTransform(reference).load()
    assert words in str(caught.value)
    assert isinstance(caught.value, ConfigurationError)


def test_a_module_that_fails_as_it_is_imported_says_so(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "acme_fails.py").write_text("raise RuntimeError('no licence')\n")
    monkeypatch.syspath_prepend(tmp_path)
    with pytest.raises(TransformError, match=r"RuntimeError: no licence\. Install its package"):
        RecordTransform("acme_fails:enrich").load()


def test_only_the_name_of_a_function_goes_to_workers() -> None:
    one = RecordTransform("tests.own_steps:enrich")
    assert pickle.loads(pickle.dumps(one)) == one


@pytest.mark.parametrize("reference", ["", "enrich", "a.b.enrich", "a.b:", ":enrich", "a.:b", "a:b.c", "a b:c", "1a:b"])
def test_what_is_not_a_reference_is_refused(reference: str) -> None:
    with pytest.raises(ValueError, match=r"expected package\.module:function"):
        check_reference(reference)
    assert check_reference("acme.loyalty:enrich") == "acme.loyalty:enrich"
