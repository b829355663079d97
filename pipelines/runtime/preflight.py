"""Checks that run before the pipeline starts. They post nothing; a group that begins at the end has its place held."""

from __future__ import annotations

import logging
import tempfile
from pathlib import Path

from aep.errors import UserError
from aep.mapping.transform import TransformError
from pipelines.options.formats import check_formats
from pipelines.options.settings import Settings
from pipelines.output.whole_file import check_can_be_written
from pipelines.runtime.plan import Plan
from transforms.records.open_file import reason_of
from transforms.records.route import Route
from transforms.sinks.base import Sinks

_LOG = logging.getLogger(__name__)


class PreflightError(UserError):
    """Something the run needs is not there: what, where, and what to do."""


def preflight(plan: Plan) -> None:
    """Check that files can be written, transforms imported, what a registry needs, and TLS, proxies and credentials.

    Beam makes a temporary folder as it builds a pipeline. A group that is to begin at the latest offsets, and has
    committed none, has its place committed before credentials are tried.

    Kafka and its topics are looked at when the start offsets are resolved, schemas and routes when the plan is made.

    Raises:
        PreflightError, SinkError, KafkaSetupError, AepError: With one clear message.
    """
    check_places(plan.settings, (*plan.dead_letters, *plan.receipts), plan.local)
    for route in plan.routes:
        check_transform(route, plan.local)
    if plan.local:
        check_formats(route.parse for route in plan.routes)
    if _begins_at_latest(plan):
        plan.share_start()  # first, for credentials may be refused, or IMS be away, and meanwhile more is produced
    plan.connection.check([route.destination for route in plan.routes], local=plan.local)


def _begins_at_latest(plan: Plan) -> bool:
    """Return whether a later start would begin at later offsets than this one, while its group has committed none."""
    source = plan.source
    if source is None or not source.share_group or plan.batch_mode != "bundle":
        return False  # it has no group, or commits nothing
    return source.starts_at_committed and source.reset == "latest"


def check_places(settings: Settings, sinks: Sinks, local: bool) -> None:
    """Check that everything a run writes besides its records can be written.

    Args:
        settings: All options.
        sinks: Of the run.
        local: Whether this machine writes to them.

    Raises:
        PreflightError, SinkError, KafkaSetupError: It cannot.
    """
    _check_temporary_folder()
    _check_results(settings.general.summary_file, settings.general.report_file)
    for sink in sinks:
        sink.check(local)


def check_transform(route: Route, local: bool) -> None:
    """Import the function of a route that has one.

    Raises:
        TransformError: It cannot be imported. On a cluster that is only logged: the workers may have packages that this
            machine lacks, and their first bundle fails if they do not.
    """
    if route.transform is None:
        return
    try:
        route.transform.load()
    except TransformError as error:
        if local:
            raise
        _LOG.warning("on this machine, the %s", error)


def _check_temporary_folder() -> None:
    try:
        tempfile.gettempdir()
    except FileNotFoundError as error:
        raise PreflightError(
            f"{error.strerror}: Beam needs a folder for temporary files; set TMPDIR to one that can be written to, or "
            "mount one at /tmp"
        ) from None


def _check_results(summary_file: str | None, report_file: str | None) -> None:
    if summary_file and report_file and Path(summary_file).resolve() == Path(report_file).resolve():
        raise PreflightError(f"summary_file and report_file are both {report_file}: give each a file of its own")
    for what, path in (("summary", summary_file), ("report", report_file)):
        if path:
            try:
                check_can_be_written(path)
            except OSError as error:
                raise PreflightError(
                    f"the {what} cannot be written to {path}: {reason_of(error)}; check {what}_file"
                ) from None
