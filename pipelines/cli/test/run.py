"""Running cases: each record through the steps of a run, without the network."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from time import perf_counter
from typing import Any

import orjson

from pipelines.cli.common import WHOLE_RECORD
from pipelines.cli.preview.choose import ChoiceError, choose, is_json, that_read_json
from pipelines.cli.preview.previews import Preview, follow, requests_of
from pipelines.cli.preview.show import difference, pretty
from pipelines.cli.test.case import Case, Refused
from pipelines.cli.test.compare import part, same
from pipelines.options.destination import DestinationKind
from pipelines.options.routes import load_routes
from pipelines.options.settings import Settings
from pipelines.options.yaml_files import OptionsError
from transforms.batch import BatchLimits
from transforms.parse_avro import ParseConfluentAvro
from transforms.records.chunk import Chunk
from transforms.records.outcome import Dropped, Prepared, Refusal
from transforms.records.prepare import Preparation
from transforms.records.route import Route, Routes


@dataclass
class Result:
    """How a case went.

    Attributes:
        case: Which.
        seconds: How long it took.
        problem: What is not as expected; "" where the case passes.
        lines: The details, each with its mark: `-` what was expected, `+` what came.
    """

    case: Case
    seconds: float
    problem: str = ""
    lines: list[tuple[str, str]] = field(default_factory=list)

    @property
    def as_row(self) -> dict[str, Any]:
        """Return it for `--json`."""
        return {
            "file": self.case.file,
            "line": self.case.line,
            "name": self.case.keys.name,
            "passed": not self.problem,
            "problem": self.problem or None,
            "details": [f"{mark} {line}" for mark, line in self.lines],
            "seconds": round(self.seconds, 6),
        }


class Runner:
    """Runs cases by the routes of a configuration.

    Args:
        settings: All options.
        kind: Where the records go.

    Raises:
        OptionsError, SchemaError: A route cannot be made.
    """

    def __init__(self, settings: Settings, kind: DestinationKind[Any]):
        self._settings = settings
        self._kind = kind
        self._lacking: dict[str, str] = {}
        routes = []
        for keys in load_routes(settings, kind):
            offline, lacking = kind.offline_keys(keys)
            if lacking:
                self._lacking[keys.name] = lacking
            routes.append(kind.route(offline, settings))
        self._routes = Routes(routes)

    def run(self, cases: Sequence[Case]) -> list[Result]:
        """Run cases.

        Raises:
            OptionsError: A case names a topic or a route that there is not, or needs the network.
        """
        prepared: list[tuple[Case, str, tuple[Route, ...]]] = []
        problems = []
        for case in cases:
            try:
                topic, candidates = choose(self._routes, case.keys.topic, case.keys.route)
                prepared.append((case, topic, self._offline(case, candidates)))
            except ChoiceError as error:
                problems.append(f"{case.file}:{case.line}: {case.keys.name}: {error}")
        if problems:
            raise OptionsError(problems)
        return [self._run(*each) for each in prepared]

    def _offline(self, case: Case, candidates: tuple[Route, ...]) -> tuple[Route, ...]:
        for route in candidates:
            if route.name in self._lacking:
                raise ChoiceError(
                    f"{self._lacking[route.name]}, and tests use no network: give the route {route.name} a schema_file"
                )
        if case.value is not None and is_json(case.value):
            return that_read_json(candidates)
        if case.value is not None and isinstance(candidates[0].parse, ParseConfluentAvro):
            raise ChoiceError(
                f"the route {candidates[0].name} takes its Avro schemas from a registry, and tests use no network: "
                "give the input as JSON"
            )
        return candidates

    def _run(self, case: Case, topic: str, candidates: tuple[Route, ...]) -> Result:
        settings, start = self._settings, perf_counter()
        prepare = Preparation(candidates, settings.xdm.rules(), settings.kafka.tombstones)
        (preview,) = follow(Chunk(topic, 0, [case.record]), prepare)
        requests_of([preview], self._kind, BatchLimits(1, settings.batch.max_bytes, 1.0), 1)
        result = Result(case, 0.0)
        _judge(preview, result)
        result.seconds = perf_counter() - start
        return result


def _judge(preview: Preview, result: Result) -> None:
    keys, outcome = result.case.keys, preview.followed.outcome
    taken = preview.followed.route
    if keys.route is not None and taken not in ("", keys.route):
        result.problem = f"expected the route {keys.route}, and the record takes {taken}"
    elif isinstance(outcome, Refusal):
        _judge_refusal(outcome, result)
    elif isinstance(outcome, Dropped):
        if not keys.dropped:
            result.problem = f"expected {_expected(result.case)}, and the record is dropped ({outcome.reason})"
    else:
        _judge_sent(outcome, result)


def _judge_refusal(refusal: Refusal, result: Result) -> None:
    wanted = result.case.keys.refused
    if wanted is not None and _fits(refusal, wanted):
        return
    expected = _expected(result.case)
    result.problem = f"expected {expected}, and the record is refused by {refusal.stage}: {refusal.code}"
    result.lines = [
        ("+", f"{each.pointer or WHOLE_RECORD}: {each.message} ({each.code})") for each in refusal.violations
    ]


def _fits(refusal: Refusal, wanted: Refused) -> bool:
    if wanted.stage not in (None, refusal.stage):
        return False
    reasons = [(refusal.code, refusal.pointer), *((each.code, each.pointer) for each in refusal.violations)]
    return any(code == wanted.code and wanted.pointer in (None, pointer) for code, pointer in reasons)


def _judge_sent(prepared: Prepared, result: Result) -> None:
    keys = result.case.keys
    whole = keys.output_equals
    expected = keys.output_contains if whole is None else whole
    got = orjson.loads(prepared.body)
    if expected is None:
        result.problem = f"expected {_expected(result.case)}, and the record is sent"
        result.lines = [("+", line) for line in pretty(prepared.body)]
        return
    seen = got if whole is not None else part(got, expected)
    if not same(expected, seen):
        result.problem = "the output differs" if whole is not None else "the output lacks some of what is expected"
        result.lines = list(difference(pretty(orjson.dumps(expected)), pretty(orjson.dumps(seen))))


def _expected(case: Case) -> str:
    refused = case.keys.refused
    if refused is not None:
        return "a refusal: " + ", ".join(value for value in refused if value)
    return "it to be dropped" if case.keys.dropped else "an output"
