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
from pipelines.options.readiness import OFFLINE, Check
from pipelines.options.routes import load_routes
from pipelines.options.secret_checks import secret_checks
from pipelines.options.settings import Settings
from pipelines.runtime.plan import Plan, make_plan
from pipelines.runtime.sinks import sink_checks
from transforms.records.route import Route, Routes


def check_run(settings: Settings, kind: DestinationKind[Any], number: int, *, offline: bool = False) -> Findings:
    """Make all checks.

    Args:
        settings: Settings of the run.
        kind: Where its pipeline sends to.
        number: Records to look at of each topic, 0 for none.
        offline: Use no network, and say what was therefore not checked.

    Raises:
        OptionsError: The routes file.
    """
    found = Findings()
    routes, whole = _routes(settings, kind, found, offline)
    plan = make_plan(settings, kind, Routes(routes))
    found.checks += _transforms(plan)
    if offline:
        found.checks += secret_checks(settings, plan.local)
    found.checks += sink_checks("dead letters", plan.dead_letters, plan.local, offline=offline)
    found.checks += sink_checks("receipts", plan.receipts, plan.local, offline=offline)
    look = kind.offline_checks if offline else kind.checks
    found.checks += look(settings, list(plan.routes), plan.connection, plan.local)
    if offline and (plan.source is not None or not whole or "://" in str(settings.kafka.file_pattern)):
        found.checks += _not_read(settings)
    else:
        look_at_samples(plan, kind.hints, number, found)
    for name, ids in found.ids.items():
        if ids is not None and (warning := ids.found.warning):
            found.checks.append(Check(f"{name}: _id", "warning", warning))
    return found


def _routes(settings: Settings, kind: DestinationKind[Any], found: Findings, offline: bool) -> tuple[list[Route], bool]:
    """Return the routes that can be made, and whether they have all that they have in a run."""
    routes, whole = [], True
    for keys in load_routes(settings, kind):
        subject = f"{keys.name}: options"
        lacking = ""
        if offline:
            keys, lacking = kind.offline_keys(keys)
        try:
            route = kind.route(keys, settings)
        except UserError as error:
            found.checks.append(Check(subject, "wrong", str(error)))
            continue
        routes.append(route)
        schema = route.schema
        if lacking:
            whole = False
            found.checks.append(Check(f"{keys.name}: schema", "not checked", f"{lacking}: {OFFLINE}"))
        words = f"{schema.title}, version {schema.version}" if schema else "records are not checked by a schema"
        found.checks.append(Check(subject, "ok", "valid" if lacking else words))
    return routes, whole


def _not_read(settings: Settings) -> Iterator[Check]:
    """Say what only the network, or a schema that only the network has, would show of records."""
    if settings.kafka.source == "file":
        yield Check(f"files {settings.kafka.file_pattern}", "not checked", OFFLINE)
    else:
        yield Check("Kafka, its topics and their records", "not checked", OFFLINE)
    if settings.kafka.schema_registry_url is not None:
        yield Check("Confluent's Schema Registry", "not checked", OFFLINE)


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
