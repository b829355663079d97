"""Records before and after, as lines for a terminal."""

from __future__ import annotations

import difflib
from collections.abc import Iterator
from typing import Any

import orjson
from rich.console import Console
from rich.text import Text

from aep.counted import counted
from pipelines.cli.common import WHOLE_RECORD, plain
from pipelines.cli.preview.previews import Preview, Request
from pipelines.options.destination import DestinationKind
from transforms.records.chunk import Batch
from transforms.records.outcome import Dropped, Prepared, Refusal

_STYLES = {"-": "red", "+": "green", "?": "dim", " ": ""}
_CONTEXT = 3
_MAX_RAW = 2_000
_DROPPED = {
    "tombstone": "skipped: a tombstone (kafka_tombstones)",
    "drop": "dropped by the route's conditions (drop)",
    "transform": "dropped by the route's transform",
}


def show_preview(console: Console, preview: Preview) -> None:
    """Print a record: what becomes of it, and what was made of it."""
    followed = preview.followed
    outcome = followed.outcome
    head = Text.assemble((plain(preview.place), "bold"))
    if followed.route:
        head.append(f"  route {followed.route}", "")
    if isinstance(outcome, Prepared):
        head.append("  would be sent", "green")
    elif isinstance(outcome, Dropped):
        head.append(f"  {_DROPPED[outcome.reason]}", "yellow")
    else:
        head.append(f"  refused by {outcome.stage}: {outcome.code}", "red")
    console.print(head)
    if isinstance(outcome, Refusal):
        for each in outcome.violations:
            console.print(Text(f"  {plain(f'{each.pointer or WHOLE_RECORD}: {each.message} ({each.code})')}", "red"))
    if followed.parsed is None:
        raw = preview.record.value or b""
        more = "..." if len(raw) > _MAX_RAW else ""
        console.print(Text(f"  {plain(raw[:_MAX_RAW].decode(errors='backslashreplace'))}{more}"))
    else:
        after = followed.parsed if preview.after is None else preview.after
        show_difference(console, followed.parsed, after)
    console.print()


def show_request(console: Console, number: int, request: Request, kind: DestinationKind[Any]) -> None:
    """Print a request, with the first of its records."""
    records = len(request.batch.bodies)
    size = len(request.preview.body)
    words = f"request {number}  {request.preview.to}  {counted(records, 'record')}"
    console.print(Text(plain(f"{words}, {size:,} bytes"), "bold"))
    first = request.batch.chunks[0].slice(0, 1)
    assert kind.request is not None  # it has made this one
    body = kind.request(request.route.destination, Batch(request.batch.route, [first], request.batch.shard)).body
    for line in pretty(body):
        console.print(Text(f"  {line}"))
    if records > 1:
        console.print(Text(f"  ... shown with the first of its {records:,} records", "dim"))
    console.print()


def show_difference(console: Console, before: bytes, after: bytes) -> None:
    """Print two JSON values: lines of the first alone with -, of the second alone with +; one where they are equal."""
    for mark, line in difference(pretty(before), pretty(after)):
        console.print(Text(f"{mark.replace('?', ' ')} {line}", _STYLES[mark]))


def difference(before: list[str], after: list[str]) -> Iterator[tuple[str, str]]:
    """Yield lines with their marks: `-` and `+`, a blank where both have them, `?` for lines that are left out."""
    if before == after:
        yield from ((" ", line) for line in after)
        return
    matcher = difflib.SequenceMatcher(None, before, after, autojunk=False)
    end = 0
    for group in matcher.get_grouped_opcodes(_CONTEXT):
        if group[0][1] > end:
            yield "?", "..."
        for kind, first, last, start, stop in group:
            if kind == "equal":
                yield from ((" ", line) for line in before[first:last])
            else:
                yield from (("-", line) for line in before[first:last])
                yield from (("+", line) for line in after[start:stop])
        end = group[-1][2]
    if end < len(before):
        yield "?", "..."


def pretty(body: bytes) -> list[str]:
    """Return JSON as lines, with keys in the order of the alphabet, so that what is the same stands in one place."""
    try:
        text = orjson.dumps(orjson.loads(body), option=orjson.OPT_INDENT_2 | orjson.OPT_SORT_KEYS).decode()
    except orjson.JSONDecodeError:  # deeper than orjson reads back
        text = body.decode()
    return [plain(line) for line in text.split("\n")]
