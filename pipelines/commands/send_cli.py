"""The command `beam-aep send`: one event to a route, and what AEP says of it."""

from __future__ import annotations

import sys
import time
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import orjson
import typer
from rich.console import Console

from pipelines.commands.cli_common import WRONG, plain, say

if TYPE_CHECKING:
    from aep.sync_send import Verdict
    from transforms.routes import Route

REFUSED = 1
"""Exit code: AEP does not take the event."""


def send(
    context: typer.Context,
    route: Annotated[str, typer.Option(help="Name of the route in the routes file.")],
) -> int:
    """Send one event, of a file or the standard input, and show whether AEP takes it, or what is wrong with it.

    beam-aep send --route NAME --routes_file=routes.yaml [FILE]

    AEP validates the event before it answers, which it does 60 times a minute and connection. The event is sent as it
    would be read from Kafka: the route's mapping is applied. Takes the pipeline's options besides, written
    --name=value: --options_file, --routes_file, --aep_client_id, ...
    """
    from aep.errors import AepError
    from aep.xdm.schema import SchemaError
    from pipelines.options_yaml import OptionsError

    path, options = _split(context.args)
    try:
        verdict = _send(options, route, _read(path))
    except OptionsError as error:
        for problem in error.problems:
            say(f"error: {problem}")
    except (AepError, SchemaError, _EventError) as error:
        say(f"error: {error}")
    except OSError as error:
        say(f"error: {path}: {error.strerror}")
    else:
        return _show(verdict)
    return WRONG


class _EventError(Exception):
    """The event cannot be sent at all."""


def _split(arguments: Sequence[str]) -> tuple[str | None, list[str]]:
    """The file, if one is named, and the options. A word after `--name` is the value of that option."""
    options: list[str] = []
    path = None
    for argument in arguments:
        after_name = bool(options) and options[-1].startswith("--") and "=" not in options[-1]
        if path is None and not argument.startswith("--") and not after_name:
            path = argument
        else:
            options.append(argument)
    return (None if path == "-" else path), options


def _read(path: str | None) -> dict[str, Any]:
    from aep.strict_json import ParseFailure, parse_object

    found = parse_object(sys.stdin.buffer.read() if path is None else Path(path).read_bytes())
    if isinstance(found, ParseFailure):
        raise _EventError(f"{path or 'standard input'}: this is no event: {found.message}")
    return found.entity


def _send(options: Sequence[str], name: str, event: dict[str, Any]) -> Verdict:
    from aep.sync_send import send_validated
    from pipelines.config import parse
    from pipelines.option_checks import network_gaps
    from pipelines.options_yaml import OptionsError
    from pipelines.plan import make_routes
    from pipelines.platform_access import tokens_of, transport_of

    settings = parse(options, network_gaps)
    file = settings.general.routes_file
    if file is None:
        raise OptionsError(["routes_file: missing: give the file that has the route"])
    routes = {route.name: route for route in make_routes(settings)}
    if name not in routes:
        raise OptionsError([f"{file}: no route is called {name}: it has {', '.join(sorted(routes))}"])
    route = routes[name]
    body = _prepared(event, route)
    transport = transport_of(settings)
    tokens = None if route.auth == "none" else tokens_of(settings, transport)
    return send_validated(route.destination, body, transport, tokens)


def _prepared(event: dict[str, Any], route: Route) -> bytes:
    """The event as the route makes it. As an offset serves the time, so that each sending is an event of its own."""
    from aep.field_map import FieldMap, MapFault, Origin
    from aep.ids import MissingField, Place, fill_id
    from aep.json_patch import PatchFault
    from aep.upserts import UpsertEnvelope, operations_of

    now_ms = int(time.time() * 1000)
    place = Place(route.topics[0], 0, now_ms)
    if route.mapping is not None:
        made: dict[str, Any] | PatchFault | MapFault = (
            route.mapping.apply(event, Origin(*place, None, now_ms, ()))
            if isinstance(route.mapping, FieldMap)
            else route.mapping.apply(event)
        )
        if not isinstance(made, dict):
            raise _EventError(f"the mapping of route {route.name} does not apply: {made.pointer} {made.message}")
        event = made
    body = orjson.dumps(event)
    if route.id_from and route.destination.payload == "entity":
        filled = fill_id(event, body, route.id_from, place)
        if isinstance(filled, MissingField):
            raise _EventError(f"the event has no _id, and no {filled.pointer} to make one of")
        return filled
    if route.operations and operations_of(event) is None:
        _, body = UpsertEnvelope(route.destination, route.operations).wrap(event, body)
    return body


def _show(verdict: Verdict) -> int:
    console = Console(highlight=False, soft_wrap=True)
    if verdict.received:
        words = "passed validation" if verdict.validated else "AEP does not say that it was validated"
        console.print(f"received: {words} (xactionId {verdict.xaction_id or 'not told'})", style="green")
        return 0
    console.print(f"refused ({verdict.status}): {plain(verdict.message)}", style="red", markup=False)
    for violation in verdict.violations:
        words = f"{violation.pointer or '/'}: {violation.message} ({violation.keyword})"
        console.print(f"  {plain(words)}", markup=False)
    return REFUSED
