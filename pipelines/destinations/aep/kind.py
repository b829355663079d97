"""AEP's streaming ingestion, as pipelines name it."""

from __future__ import annotations

from collections.abc import Iterator

from aep.ingestion.envelope import MAX_REQUEST_BYTES, Envelope, batch_url
from pipelines.destinations.aep.checks import checks, offline_checks
from pipelines.destinations.aep.hints import hints
from pipelines.destinations.aep.keys import AepRouteKeys, route_faults
from pipelines.destinations.aep.route import make_connection, make_route, offline_keys
from pipelines.options.checks import given
from pipelines.options.destination import DestinationKind, RequestPreview
from pipelines.options.plain_http import plain_http
from pipelines.options.platform_access import network_gaps
from pipelines.options.problems import Finding
from pipelines.options.settings import Settings
from transforms.aep.failed_records import with_returned
from transforms.aep.inlet import as_inlet
from transforms.records.chunk import Batch
from transforms.records.destination import Destination


def request(destination: Destination, batch: Batch) -> RequestPreview:
    """Make the request of a batch; see `DestinationKind.request`."""
    to = as_inlet(destination)
    return RequestPreview(f"POST {batch_url(to.inlet_url)}", Envelope(to).batch(batch.bodies), {})


def option_findings(settings: Settings) -> Iterator[Finding]:
    """Find what is missing, contradictory or too much in the options, whatever the routes say."""
    yield from network_gaps(settings)
    yield from plain_http(settings)
    if settings.batch.max_bytes > MAX_REQUEST_BYTES:
        yield Finding(
            ("batch_max_bytes",),
            f"{given(settings, 'batch_max_bytes')}: must be at most {MAX_REQUEST_BYTES}: AEP answers 413 to a body "
            "over 1 MB (Streaming Ingestion API); leave room for HTTP, like the default of 950000",
        )


AEP = DestinationKind(
    name="AEP",
    keys=AepRouteKeys,
    faults=route_faults,
    route=make_route,
    connection=make_connection,
    findings=option_findings,
    checks=checks,
    offline_checks=offline_checks,
    offline_keys=offline_keys,
    hints=hints,
    request=request,
    replay_routes=with_returned,
)
