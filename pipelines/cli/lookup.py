"""The command `beam-aep lookup`: show a profile of Real-Time Customer Profile, and its events."""

from __future__ import annotations

from datetime import datetime, timezone
from itertools import islice
from typing import TYPE_CHECKING, Annotated

import orjson
import typer
from rich.console import Console

from aep.counted import counted
from pipelines.cli.common import (
    AND_OPTIONS,
    AND_OPTIONS_METAVAR,
    WRONG,
    AsJson,
    a_text,
    app,
    example,
    plain,
    put_json,
    run_options,
    say,
    say_problems,
)
from pipelines.output.table import show_fields

if TYPE_CHECKING:
    from aep.platform.profile import Profile, ProfileEvent

NOT_FOUND = 1
"""Exit code: there is no such profile."""


@app.command(
    "lookup",
    context_settings=AND_OPTIONS,
    options_metavar=AND_OPTIONS_METAVAR,
    epilog=example("beam-aep lookup --namespace Email --id a@b.c --events -f aep.yaml"),
)
def lookup(
    context: typer.Context,
    namespace: Annotated[
        str, typer.Option(parser=a_text, help="Code of the identity's namespace, such as Email.", metavar="CODE")
    ],
    id_: Annotated[
        str, typer.Option("--id", parser=a_text, help="Value of the identity, such as a@b.c.", metavar="VALUE")
    ],
    events: Annotated[bool, typer.Option("--events", help="Also show the events, newest first.")] = False,
    limit: Annotated[int, typer.Option(min=1, help="Most events to show.", metavar="N")] = 10,
    as_json: AsJson = False,
) -> int:
    """Look up a profile by one of its identities.

    New data can take up to 15 minutes to appear. Also takes the pipeline's options, written --name=value:
    --options_file, --aep_org_id, --aep_client_id, --aep_client_secret, --aep_sandbox, --aep_platform_url, ...
    """
    from aep.errors import UserError
    from aep.platform.profile import ProfileAccess
    from pipelines.options.platform_access import platform_client, platform_settings
    from pipelines.options.secret_checks import secrets_named

    try:
        settings = platform_settings(run_options(context))
        with secrets_named(settings):
            access = ProfileAccess(platform_client(settings))
            profile = access.profile(id_, namespace)
            found = list(islice(access.events(id_, namespace, newest_first=True), limit)) if events else None
    except UserError as error:
        say_problems(error)
        return WRONG
    if as_json:
        put_json(_plain(profile, found))
    else:
        _print(profile, found, f"{namespace} {id_}")
    return 0 if profile is not None or found else NOT_FOUND


def _plain(profile: Profile | None, events: list[ProfileEvent] | None) -> dict[str, object]:
    return {
        "profile": None if profile is None else profile._asdict(),
        "events": None if events is None else [event._asdict() for event in events],
    }


def _print(profile: Profile | None, events: list[ProfileEvent] | None, who: str) -> None:
    console = Console(highlight=False, soft_wrap=True)
    if profile is None and events:
        console.print(f"{plain(who)} has events only, no profile record", markup=False)
    elif profile is None:
        say(f"no profile of {who}; new data can take up to 15 minutes to appear")
    else:
        about = {
            "profile": profile.id,
            "identities": str(len(profile.identity_graph)),
            "datasets": ", ".join(profile.sources),
            "changed": profile.last_modified,
        }
        show_fields(console, [(name, plain(value)) for name, value in about.items()])
        console.print(_pretty(profile.entity), markup=False)
    if events is not None:
        console.print(f"\n{counted(len(events), 'event')}")
        for event in events:
            console.print(f"{_time(event.timestamp_ms)}  {plain(event.id)}", markup=False)
            console.print(_pretty(event.entity), markup=False)


def _time(epoch_ms: int) -> str:
    try:
        return datetime.fromtimestamp(epoch_ms / 1000, timezone.utc).isoformat(timespec="milliseconds")
    except (ValueError, OverflowError):  # before the year 1, as an offset can make it, or after 9999
        return f"{epoch_ms} ms since 1970"


def _pretty(entity: dict[str, object]) -> str:
    lines = orjson.dumps(entity, option=orjson.OPT_INDENT_2).decode().split("\n")
    return "\n".join(map(plain, lines))  # JSON escapes only some of the control characters
