"""Everything a run needs, looked at without running: nothing is posted, nothing committed, and no group joined.

It writes one thing, as a run does before it starts: an empty file into the folder for dead letters, which it deletes.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from aep.errors import UserError
from aep.mapping.transform import TransformError
from pipelines.cli.check.report import Findings
from pipelines.cli.check.samples import look_at_samples
from pipelines.options.destination import DestinationKind
from pipelines.options.readiness import Check
from pipelines.options.routes import load_routes
from pipelines.options.settings import Settings
from pipelines.runtime.plan import Plan, make_plan
from pipelines.runtime.sinks import sink_checks
from transforms.records.route import Route, Routes


def check_run(settings: Settings, kind: DestinationKind[Any], number: int) -> Findings:
    """Make all checks.

    Args:
        settings: Settings of the run.
        kind: Where its pipeline sends to.
        number: Records to look at of each topic, 0 for none.

    Raises:
        OptionsError: The routes file.
    """
    found = Findings()
    plan = make_plan(settings, kind, Routes(_routes(settings, kind, found)))
    found.checks += _transforms(plan)
    found.checks += _sinks(plan)
    found.checks += kind.checks(settings, list(plan.routes), plan.connection, plan.local)
    look_at_samples(plan, kind.hints, number, found)
    for name, ids in found.ids.items():
        if ids is not None and (warning := ids.found.warning):
            found.checks.append(Check(f"{name}: _id", "warning", warning))
    return found


def _routes(settings: Settings, kind: DestinationKind[Any], found: Findings) -> list[Route]:
    """Return the routes that can be made."""
    routes = []
    for keys in load_routes(settings, kind):
        subject = f"{keys.name}: options"
        try:
            route = kind.route(keys, settings)
        except UserError as error:
            found.checks.append(Check(subject, "wrong", str(error)))
            continue
        routes.append(route)
        schema = route.schema
        words = f"{schema.title}, version {schema.version}" if schema else "records are not checked by a schema"
        found.checks.append(Check(subject, "ok", words))
    return routes


def _transforms(plan: Plan) -> Iterator[Check]:
    for route in plan.routes:
        if route.transform is None:
            continue
        try:
            route.transform.load()
        except TransformError as error:
            # On a cluster it is the workers that must have it.
            yield Check(f"{route.name}: transform", "wrong" if plan.local else "warning", str(error))
        else:
            yield Check(f"{route.name}: transform", "ok", f"{route.transform.reference} can be imported")


def _sinks(plan: Plan) -> Iterator[Check]:
    yield from sink_checks("dead letters", plan.dead_letters, plan.local)
    yield from sink_checks("receipts", plan.receipts, plan.local)
