"""The command `beam-aep send`: one event to a route, and what AEP says of it."""

from __future__ import annotations

import codecs
import io
import time
from collections.abc import Sequence
from dataclasses import replace
from itertools import chain
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer
from rich.console import Console

from aep.errors import UserError
from pipelines.cli.common import (
    AND_OPTIONS,
    AND_OPTIONS_METAVAR,
    WHOLE_RECORD,
    WRONG,
    a_path_as_text,
    a_text,
    app,
    plain,
    run_options,
    say,
    say_problems,
    words_and_options,
)

if TYPE_CHECKING:
    from aep.ingestion.validate_once import Verdict
    from aep.xdm.rules import XdmRules
    from transforms.records.outcome import Dropped, Refusal
    from transforms.records.route import Route, Routes

REFUSED = 1
"""Exit code: AEP does not take the event, or is not sent it."""


@app.command("send", context_settings=AND_OPTIONS, options_metavar=f"{AND_OPTIONS_METAVAR} [FILE]")
def send(
    context: typer.Context,
    route: Annotated[str, typer.Option(parser=a_text, help="Name of the route in the routes file.", metavar="NAME")],
) -> int:
    """Send one event, and show whether AEP accepts it.

    It is read from a file or the standard input. If it is refused, what is wrong with it is shown.

    beam-aep send --route NAME --routes_file=routes.yaml [FILE]

    AEP validates the event before it replies, at most 60 times a minute and connection. First the event goes through
    the steps of a pipeline, as if it had just been read from the route's topic: format, conditions, mapping, transform,
    _id, nulls, schema. An event that a pipeline would dead-letter or drop is not sent. Events are JSON, pretty-printed
    or not, even for a route that reads Avro; up to 60 may be given, in an array or one after another. Also takes the
    pipeline's options, written --name=value: --options_file, --routes_file, ... Exit code: 0 when AEP accepts all
    events, 1 when one is refused or dropped, 2 when they cannot be sent.
    """
    words, options = words_and_options(run_options(context))
    path = a_path_as_text(words[0]) if words and words[0] != "-" else None
    options = [*words[1:], *options]
    try:
        return _send(options, route, read_events(path))
    except EventError as error:
        say(f"error: {path or 'standard input'}: {error}")
    except UserError as error:
        say_problems(error)
    except OSError as error:
        say(f"error: {path}: {error.strerror}")
    return WRONG


MAX_EVENTS = 60
"""AEP's limit of validations per minute and connection (Streaming validation guide)."""

_JSON = (b"{", b"[")  # how it begins


class EventError(UserError):
    """The event cannot be sent at all."""


def read_events(path: str | None) -> list[bytes]:
    """Return the events of a file; what is not JSON is one."""
    from aep.formats.json_records import read_records
    from pipelines.cli.event_lines import open_lines

    with open_lines(Path(path) if path else None) as source:
        content = source.lines.read().removeprefix(codecs.BOM_UTF8)
    if content.lstrip()[:1] not in _JSON:
        return [content]
    events = [value for _, value in read_records(io.BytesIO(content)).entries if value]
    if len(events) > MAX_EVENTS:
        raise EventError(f"{len(events):,} events given: AEP validates {MAX_EVENTS} a minute, so give no more")
    if not events:
        raise EventError("no event given")
    return events


def _send(options: Sequence[str], name: str, events: Sequence[bytes]) -> int:
    from aep.ingestion.validate_once import send_validated
    from pipelines.destinations.aep.kind import AEP
    from pipelines.options.checks import route_contradictions
    from pipelines.options.merge import parse
    from pipelines.options.platform_access import tokens_of, transport_of
    from pipelines.options.secret_checks import secrets_named
    from pipelines.options.yaml_files import OptionsError
    from pipelines.runtime.plan import make_routes
    from transforms.aep.inlet import as_inlet
    from transforms.records.outcome import Dropped

    settings = parse(options, lambda given: chain(AEP.findings(given), route_contradictions(given, AEP)))
    file = settings.general.routes_file
    if file is None:
        raise OptionsError(["routes_file: missing: give the file that has the route"])
    routes = make_routes(settings, AEP)
    names = sorted(route.name for route in routes)
    if name not in names:
        raise OptionsError([f"{file}: no route is called {name}, only {', '.join(names)}"])
    route, rules, now_ms = routes[name], settings.xdm.rules(), int(time.time() * 1000)
    prepared = []
    for number, event in enumerate(events):  # all of them before the first is sent
        try:
            prepared.append(prepare_event(event, route, routes, rules, now_ms + number))
        except EventError as error:
            raise EventError(f"event {number + 1}: {error}" if len(events) > 1 else str(error)) from None
    transport = transport_of(settings)
    inlet = as_inlet(route.destination)
    tokens = None if inlet.auth == "none" else tokens_of(settings, transport)
    codes = []
    for number, (event, one) in enumerate(zip(events, prepared, strict=True), start=1):
        if len(events) > 1:
            Console(highlight=False).print(f"event {number} of {len(events)}")
        if isinstance(one, bytes):
            with secrets_named(settings):
                verdict = send_validated(inlet, one, transport, tokens)
            codes.append(_show(verdict))
        elif isinstance(one, Dropped):
            codes.append(_show_dropped(one))
        else:
            codes.append(_show_refusal(one, event, route))
    return max(codes)


def prepare_event(
    event: bytes, route: Route, routes: Routes, rules: XdmRules, now_ms: int
) -> bytes | Refusal | Dropped:
    """Return what a pipeline would post of an event that it had just read from the route's topic, or why it would not.

    The time serves as its offset, so that each sending has an _id of its own where that is made of the offset.

    Raises:
        EventError: It is not an event of this route.
    """
    from transforms.records.outcome import Dropped, Refusal
    from transforms.records.prepare import Preparation
    from transforms.records.record import Record
    from transforms.records.route import parse_json

    topic = route.topics[0]
    candidates = (route,) if topic.startswith("^") else routes.of_topic(topic)
    if route not in candidates:
        raise EventError(
            f"a pipeline sends no record through the route {route.name}: {candidates[-1].name} takes them all"
        )
    if event.lstrip()[:1] in _JSON:  # JSON, which is easier to write than what a route may read
        candidates = tuple(replace(each, parse=parse_json) for each in candidates)
    outcome = Preparation(candidates, rules, "skip")(topic, 0, Record(now_ms, now_ms, None, (), event))
    if isinstance(outcome, Refusal):
        if outcome.stage == "parse":
            raise EventError(f"not a valid event: {outcome.message}")
        return outcome
    taken_by = outcome.route if isinstance(outcome, Dropped) else outcome.route.name
    if taken_by != route.name:
        raise EventError(
            f"a pipeline sends this event through the route {taken_by}, whose conditions (when) it meets: "
            f"use --route {taken_by}"
        )
    return outcome if isinstance(outcome, Dropped) else outcome.body


def _show_dropped(dropped: Dropped) -> int:
    rule = "the route's conditions (drop)" if dropped.reason == "drop" else "the route's transform, which returned None"
    words = f"not sent: a pipeline would drop this event, by {rule}"
    Console(highlight=False, soft_wrap=True).print(words, style="yellow", markup=False)
    return REFUSED


def _show_refusal(refusal: Refusal, event: bytes, route: Route) -> int:
    from pipelines.cli.event_hints import hints_on
    from pipelines.destinations.aep.hints import hints
    from transforms.records.record import Record

    console = Console(highlight=False, soft_wrap=True)
    words = f"not sent: a pipeline would dead-letter this event (stage {refusal.stage})"
    console.print(words, style="red", markup=False)
    for error in refusal.violations:
        console.print(f"  {plain(f'{error.pointer or WHOLE_RECORD}: {error.message} ({error.code})')}", markup=False)
    for hint in hints_on(Record(0, -1, None, (), event), route, refusal, hints):
        console.print(f"  hint: {plain(hint)}", markup=False)
    return REFUSED


def _show(verdict: Verdict) -> int:
    console = Console(highlight=False, soft_wrap=True)
    if verdict.received:
        words = "passed validation" if verdict.validated else "AEP does not confirm that it was validated"
        console.print(f"received: {words} (xactionId {verdict.xaction_id or 'unknown'})", style="green")
        return 0
    console.print(f"refused ({verdict.status}): {plain(verdict.message)}", style="red", markup=False)
    for violation in verdict.violations:
        words = f"{violation.pointer or '/'}: {violation.message} ({violation.keyword})"
        console.print(f"  {plain(words)}", markup=False)
    return REFUSED
