"""What `beam-aep check` looks at of AEP: the way to inlets, tokens, and Platform's side of the routes."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from functools import partial

from aep.errors import AepError, NetworkError
from aep.http import secrets
from aep.http.network import Network
from aep.http.transport import Request, RequestsTransport
from pipelines.destinations.aep.platform_checks import PlatformChecks
from pipelines.options.plain_http import leaves_this_machine_unencrypted
from pipelines.options.platform_access import missing_access, platform_client, tokens_of, transport_of
from pipelines.options.readiness import OFFLINE, Check
from pipelines.options.settings import Settings
from transforms.aep.connection import AepConnection, as_aep, token_source
from transforms.aep.inlet import AepInlet, as_inlet
from transforms.records.delivery import Connection
from transforms.records.route import Route

_WORKERS = "the certificates and authorities are files of the workers, so only they can connect"

_NOT_ASKED = "Platform's APIs, which know whether they exist, were not asked"


def checks(settings: Settings, routes: Sequence[Route], connection: Connection, local: bool) -> Iterator[Check]:
    """Check schema ids, the way to each inlet, tokens, and Platform's objects; see `DestinationKind.checks`."""
    to = as_aep(connection)
    for route in routes:
        yield from _schema_id(route)
    yield from _exposed_proxy(to.network)
    yield from _connections([as_inlet(route.destination) for route in routes], to, local)
    yield from _platform(settings, routes, to, local)


def offline_checks(settings: Settings, routes: Sequence[Route], connection: Connection, local: bool) -> Iterator[Check]:
    """Check schema ids, and the files of TLS; see `DestinationKind.offline_checks`."""
    network = as_aep(connection).network
    for route in routes:
        yield from _schema_id(route)
    yield from _exposed_proxy(network)
    if not local and network.has_files:
        yield Check("certificates", "not checked", _WORKERS)
    elif any(secrets.needs_network(each) for each in (network.client_key_password, network.proxy_password) if each):
        yield Check("certificates and proxy", "not checked", OFFLINE)
    elif network.has_files or network.proxy_password:
        yield _checked("certificates and proxy", partial(_readable, network))
    yield from (_unknown(route, OFFLINE) for route in routes)


def _readable(network: Network) -> str:
    network.check()
    return "files and passwords can be read"


def _unknown(route: Route, why: str) -> Check:
    """Say of a route what nobody has looked at: a server that answers may not have this inlet or take this dataset."""
    to = as_inlet(route.destination)
    what = ["inlet", *(["dataset"] if to.dataset_id else []), *(["dataflow"] if to.flow_id else [])]
    return Check(f"{route.name}: {', '.join(what)}", "not checked", why)


def _exposed_proxy(network: Network) -> Iterator[Check]:
    if network.proxy_user is not None and leaves_this_machine_unencrypted(str(network.proxy)):
        yield Check("proxy", "warning", "aep_proxy_password goes to it unencrypted: prefer a proxy with https, if any")


def _schema_id(route: Route) -> Iterator[Check]:
    """Check whether the id that messages name is that of the schema which they are checked with."""
    schema, named = route.schema, as_inlet(route.destination).schema_id
    if schema is not None and route.registered is None and named != schema.id:
        yield Check(f"{route.name}: schema_id", "wrong", f"schema_id is {named}, and {schema.where} is {schema.id}")


def _connections(inlets: Sequence[AepInlet], connection: AepConnection, local: bool) -> Iterator[Check]:
    """Yield the way to each inlet, and the tokens that requests to it need."""
    network = connection.network
    if not local and network.has_files:
        yield Check("connections", "not checked", _WORKERS)
        return
    try:
        network.check()
    except (AepError, OSError) as error:
        yield Check("connections", "wrong", str(error))
        return
    for inlet in {inlet.auth: inlet for inlet in inlets if inlet.auth != "none"}.values():
        yield _checked(f"token (auth={inlet.auth})", partial(_token, inlet, connection))
    for inlet in {inlet.inlet_url: inlet for inlet in inlets}.values():
        yield _reached(inlet, connection)


def _token(inlet: AepInlet, connection: AepConnection) -> str:
    tokens = token_source(inlet, connection)
    assert tokens is not None  # it asks for one
    tokens.token()
    return "received"


def _reached(inlet: AepInlet, connection: AepConnection) -> Check:
    """Return whether anything answers at an inlet. What it answers says nothing: an inlet takes only posts."""
    subject = f"connection to inlet {inlet.inlet_id[:12]}"
    try:
        transport = RequestsTransport(connection.timeouts, connection.network)
        transport.send(Request(inlet.inlet_url, b"", {}, "GET"))
    except AepError as error:
        return Check(subject, "wrong", str(error))
    return Check(subject, "ok", "a server answers, whether or not it has this inlet")


def _platform(settings: Settings, routes: Sequence[Route], connection: AepConnection, local: bool) -> Iterator[Check]:
    subject = "Platform's APIs"
    missing = [text for _, text in missing_access(settings)]
    if missing:
        yield Check(subject, "not checked", "; ".join(missing))
        yield from (_unknown(route, _NOT_ASKED) for route in routes)
        return
    if not local and connection.network.has_files:
        yield Check(subject, "not checked", _WORKERS)
        yield from (_unknown(route, _NOT_ASKED) for route in routes)
        return

    def token() -> str:
        tokens_of(settings, transport_of(settings)).token()
        return f"{settings.aep.org_id}, sandbox {settings.aep.sandbox}"

    access = _checked(subject, token)
    yield access
    if access.state == "ok":
        platform = PlatformChecks(platform_client(settings), access.detail)
        for route in routes:
            yield from platform.of(route)


def _checked(subject: str, look: Callable[[], str]) -> Check:
    try:
        return Check(subject, "ok", look())
    except NetworkError as error:
        return Check(subject, "not checked", str(error), failed=True)
    except AepError as error:
        return Check(subject, "wrong", str(error))
