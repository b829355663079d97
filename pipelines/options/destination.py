"""What a kind of destination brings to the pipelines that send to it.

The steps of a pipeline ask the protocols of `transforms.records.destination` and `delivery`. What comes before
them (options, routes, checks) asks a `DestinationKind`: a plain value with functions, one for each kind, which a
pipeline names in its `JOB`. So a new kind is a file in `pipelines/destinations/` beside its package and options.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any, Generic, NamedTuple, TypeVar

from aep.errors import NetworkError, UserError
from pipelines.options.problems import Fault, Finding
from pipelines.options.readiness import OFFLINE, Check
from pipelines.options.route_keys import RouteKeys
from pipelines.options.settings import Settings
from transforms.records.chunk import Batch
from transforms.records.delivery import Connection
from transforms.records.destination import Destination
from transforms.records.route import Route, Routes

Named = Callable[[str], str]
"""What a key of a route is called where its value was given: in a routes file by its name, else by its option's."""

K = TypeVar("K", bound=RouteKeys)


class RequestPreview(NamedTuple):
    """A request as it would be sent.

    Attributes:
        to: What is called, for people.
        body: As JSON.
        refused: Of the batch, by position, records that only making the request shows not to fit: code and message.
    """

    to: str
    body: bytes
    refused: dict[int, tuple[str, str]]


def no_findings(settings: Settings) -> Iterator[Finding]:
    """Find nothing."""
    return iter(())


def no_hints(entity: dict[str, Any], route: Route) -> Sequence[str]:
    """Give no hints."""
    return ()


def as_they_are(routes: Routes) -> Routes:
    """Return the routes."""
    return routes


def no_notes(settings: Settings) -> Sequence[str]:
    """Give no notes."""
    return ()


def connection_checks(
    settings: Settings, routes: Sequence[Route], connection: Connection, local: bool
) -> Iterator[Check]:
    """Check what a run checks of its connection before it starts."""
    subject = f"connection to {connection.name}"
    try:
        connection.check([route.destination for route in routes], local=local)
    except NetworkError as error:
        yield Check(subject, "not checked", str(error), failed=True)
    except UserError as error:
        yield Check(subject, "wrong", str(error))
    else:
        yield Check(subject, "ok", "passes what a run checks before it starts")


def nothing_offline(
    settings: Settings, routes: Sequence[Route], connection: Connection, local: bool
) -> Iterator[Check]:
    """Say that the connection was not looked at."""
    yield Check(f"connection to {connection.name}", "not checked", OFFLINE)


def as_given(keys: K) -> tuple[K, str]:
    """Return the keys: a route of this kind is made without the network."""
    return keys, ""


@dataclass(frozen=True)
class DestinationKind(Generic[K]):
    """A kind of destination.

    Attributes:
        name: What people call it.
        keys: Declares the keys of its routes. Each is validated by itself, and refused with file and line.
        faults: Finds what is missing or contradictory in the keys of a route, given all options and what keys are
            called. Without a routes file it is asked before missing keys are refused: a required one may be None here.
        route: Makes a route of its keys, with its destination. Raises a `UserError`.
        connection: Makes the connection of the options.
        findings: Finds what is missing or contradictory in its options, whatever the routes say.
        checks: What `beam-aep check` looks at, given all options, the routes that could be made, the connection, and
            whether this machine delivers.
        offline_checks: The same as far as no network is needed, with what was therefore not checked.
        offline_keys: Makes keys of a route that can be made without the network; also returns what they lack, "" for
            nothing.
        hints: What may be wrong with a record, given as it was parsed, that its route refused by its schema.
        request: Makes the request of a batch, for people to look at; None where `beam-aep preview` shows none.
        replay_routes: Makes the routes of a replay of those of the run whose dead letters are replayed.
        notes: What `--print_options` adds to the options, since the environment has a say in it; lines, no secrets.
    """

    name: str
    keys: type[K]
    faults: Callable[[K, Settings, Named], Iterator[Fault]]
    route: Callable[[K, Settings], Route]
    connection: Callable[[Settings], Connection]
    findings: Callable[[Settings], Iterator[Finding]] = no_findings
    checks: Callable[[Settings, Sequence[Route], Connection, bool], Iterator[Check]] = connection_checks
    offline_checks: Callable[[Settings, Sequence[Route], Connection, bool], Iterator[Check]] = nothing_offline
    offline_keys: Callable[[K], tuple[K, str]] = as_given
    hints: Callable[[dict[str, Any], Route], Sequence[str]] = no_hints
    request: Callable[[Destination, Batch], RequestPreview] | None = None
    replay_routes: Callable[[Routes], Routes] = as_they_are
    notes: Callable[[Settings], Sequence[str]] = no_notes
