"""Files of test cases: what a record becomes, or why it is refused.

    tests:
      - name: a purchase is sent as it is
        topic: loyalty-events
        input: {_id: "1", timestamp: "2026-01-31T08:00:00Z", ...}
        output_contains: {_id: "1"}

Each case has one input and one expectation; the keys are those of `CaseKeys`.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Annotated, Any, NamedTuple

import orjson
import yaml
from pydantic import AfterValidator, BaseModel, BeforeValidator, ConfigDict, Field, InstanceOf, ValidationError

from pipelines.options.codes import check_code
from pipelines.options.table import describe_type, explain
from pipelines.options.types import StringMap, Time, seconds_of
from pipelines.options.yaml_files import OptionsError, OptionsLoader, entries_of, read_document, read_text, unknown
from transforms.records.record import Record

_INPUTS = ("input", "input_text", "input_file")
_EXPECTED = ("output_equals", "output_contains", "refused", "dropped")


class Refused(NamedTuple):
    """What a refusal has to be.

    Attributes:
        code: Of the reason, or of one of its violations.
        pointer: JSON pointer to the field; None for any.
        stage: The step that refuses; None for any.
    """

    code: str
    pointer: str | None = None
    stage: str | None = None


def _refused(value: Any) -> Any:
    if isinstance(value, str):
        return Refused(check_code(value))
    is_known = isinstance(value, dict) and "code" in value and value.keys() <= set(Refused._fields)
    if is_known and all(isinstance(each, str) for each in value.values()):
        check_code(value["code"])
        return Refused(**value)
    raise ValueError("must be a code, or a mapping of code and, where they matter, pointer and stage, to text")


def _only_true(value: bool) -> bool:
    if not value:
        raise ValueError("can only be true: give another expectation")
    return value


class CaseKeys(BaseModel):
    """The keys of a case.

    Attributes:
        name: Of the case.
        topic: That the record is read from; None for the route's first, or the only one that routes name.
        route: That the record has to take; None for any.
        input: The record as JSON; null for a tombstone.
        input_text, input_file: The value as text, or a file that has it.
        key, headers, timestamp: Of the record; by default none, and 1970.
        output_equals: The record as it has to be sent.
        output_contains: Fields that it has to have among others; lists are compared item by item.
        refused: Why it has to be refused.
        dropped: That it has to be dropped.
    """

    model_config = ConfigDict(frozen=True, extra="forbid", strict=True)

    name: str
    topic: str | None = None
    route: str | None = None
    input: Any = None
    input_text: str | None = None
    input_file: str | None = None
    key: str | None = None
    headers: StringMap = Field({})
    timestamp: Time | None = None
    output_equals: dict[str, Any] | None = None
    output_contains: dict[str, Any] | None = None
    refused: Annotated[InstanceOf[Refused], BeforeValidator(_refused)] | None = None
    dropped: Annotated[bool, AfterValidator(_only_true)] | None = None


class Case(NamedTuple):
    """A case.

    Attributes:
        file, line: Where it stands.
        keys: Its keys.
        value: The input; None for a tombstone.
    """

    file: str
    line: int
    keys: CaseKeys
    value: bytes | None

    @property
    def record(self) -> Record:
        """Return the record that is read."""
        headers = tuple((name, text.encode()) for name, text in self.keys.headers.items())
        timestamp = int((seconds_of(self.keys.timestamp) or 0) * 1000)
        key = None if self.keys.key is None else self.keys.key.encode()
        return Record(0, timestamp, key, headers, self.value)


def read_cases(path: str) -> list[Case]:
    """Read a file of cases.

    Raises:
        OptionsError: With all problems found, one a line, each with file and line.
    """
    problems: list[str] = []
    cases: list[Case] = []
    with read_document(read_text(path, "file of tests"), path, problems) as (loader, document):
        lists = []
        for key, node in document.value if document else []:
            place = f"{path}:{key.start_mark.line + 1}"
            if key.value != "tests":
                problems.append(f"{place}: {unknown('key', str(key.value), ['tests'])}")
            elif not isinstance(node, yaml.SequenceNode) or not node.value:
                problems.append(f"{place}: tests: expected a list of cases")
            else:
                lists.append(node)
        if not lists and not problems:
            problems.append(f"{path}: has no cases: give a list of them under the key tests")
        for node in lists:
            cases += [case for each in node.value for case in _read_case(loader, each, path, problems)]
    names: dict[str, int] = {}
    for case in cases:
        first = names.setdefault(case.keys.name, case.line)
        if first != case.line:
            problems.append(f"{path}:{case.line}: name: {case.keys.name} is the name of the case on line {first} too")
    if problems:
        raise OptionsError(sorted(problems, key=lambda problem: _line_of(problem, path)))
    return cases


def _line_of(problem: str, path: str) -> int:
    line = problem.removeprefix(f"{path}:").partition(":")[0]
    return int(line) if line.isdigit() else 0


def _read_case(loader: OptionsLoader, node: yaml.Node, path: str, problems: list[str]) -> Iterator[Case]:
    line = node.start_mark.line + 1
    if not isinstance(node, yaml.MappingNode):
        problems.append(f"{path}:{line}: a case must be a mapping with name, input, ...")
        return
    before = len(problems)
    known = CaseKeys.model_fields
    entries = entries_of(loader, node, path, problems)
    places = {entry.key: entry.line for entry in entries}
    written = {str(key.value) for key, _ in node.value}  # also those whose value cannot be read
    for entry in entries:
        if entry.key not in known:
            problems.append(f"{path}:{entry.line}: {unknown('key of a case', entry.key, known)}")
    values = {
        entry.key: entry.written if entry.key == "headers" else entry.value for entry in entries if entry.key in known
    }
    for keys, what in ((_INPUTS, "input"), (_EXPECTED, "expectation")):
        given = [key for key in keys if key in written]
        if len(given) != 1:
            got = f", got {' and '.join(given)}" if given else ""
            problems.append(f"{path}:{line}: a case needs one {what}: {', '.join(keys)}{got}")
    try:
        case = CaseKeys(**values)
    except ValidationError as errors:
        for error in errors.errors(include_url=False):
            field = str(error["loc"][0])
            if error["type"] == "missing":
                if field not in written:
                    problems.append(f"{path}:{line}: {field}: missing: a case needs it")
                continue
            type_name = describe_type(known[field].annotation)[1]
            problems += [f"{path}:{places[field]}: {field}: {text}" for _, text in explain(error, type_name)]
        return
    if len(problems) > before:
        return
    try:
        value = _value(case)
    except OSError as error:
        where = f"{path}:{places['input_file']}: input_file"
        problems.append(f"{where}: {case.input_file} cannot be read: {error.strerror}")
    else:
        yield Case(path, line, case, value)


def _value(case: CaseKeys) -> bytes | None:
    if case.input_file is not None:
        return Path(case.input_file).read_bytes()
    if case.input_text is not None:
        return case.input_text.encode()
    return None if case.input is None else orjson.dumps(case.input)


def all_cases(paths: Sequence[str]) -> list[Case]:
    """Read several files.

    Raises:
        OptionsError: With the problems of all of them.
    """
    cases: list[Case] = []
    problems: list[str] = []
    for path in paths:
        try:
            cases += read_cases(path)
        except OptionsError as error:
            problems += error.problems
    if problems:
        raise OptionsError(problems)
    return cases
