"""AEP's streaming ingestion, as pipelines name it."""

from __future__ import annotations

from pipelines.destinations.aep.checks import checks
from pipelines.destinations.aep.hints import hints
from pipelines.destinations.aep.keys import AepRouteKeys, route_faults
from pipelines.destinations.aep.route import make_connection, make_route
from pipelines.options.destination import DestinationKind
from pipelines.options.platform_access import network_gaps

AEP = DestinationKind(
    name="AEP",
    keys=AepRouteKeys,
    faults=route_faults,
    route=make_route,
    connection=make_connection,
    findings=network_gaps,
    checks=checks,
    hints=hints,
)
