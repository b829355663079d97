"""Checks that run before the pipeline starts. Posts nothing."""

from __future__ import annotations

import tempfile

from aep.errors import UserError
from pipelines.runtime.plan import Plan
from pipelines.runtime.report import check_summary
from transforms.parse_avro import ParseConfluentAvro
from transforms.sinks.files import reason_of


class PreflightError(UserError):
    """Something the run needs is not there: what, where, and what to do."""


def preflight(plan: Plan) -> None:
    """Checks that files can be written, what a registry needs, and what the connection does: TLS, proxies, credentials.

    Beam makes a temporary folder as it builds a pipeline.

    Kafka and its topics are looked at when the start offsets are resolved, schemas and routes when the plan is made.

    Raises:
      PreflightError, SinkError, KafkaSetupError, AepError: with one clear message.
    """
    _check_temporary_folder()
    _check_summary(plan.settings.general.summary_file)
    for sink in (*plan.dead_letters, *plan.receipts):
        sink.check(plan.local)
    registries = [route.parse.registry for route in plan.routes if isinstance(route.parse, ParseConfluentAvro)]
    if plan.local and registries:
        registries[0].check()  # there is one in a run
    plan.connection.check([route.destination for route in plan.routes], local=plan.local)


def _check_temporary_folder() -> None:
    try:
        tempfile.gettempdir()
    except FileNotFoundError as error:
        raise PreflightError(
            f"{error.strerror}: Beam needs a folder for temporary files; set TMPDIR to one that can be written to, or "
            "mount one at /tmp"
        ) from None


def _check_summary(path: str | None) -> None:
    if path:
        try:
            check_summary(path)
        except OSError as error:
            raise PreflightError(
                f"the summary cannot be written to {path}: {reason_of(error)}; check summary_file"
            ) from None
