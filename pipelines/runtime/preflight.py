"""What can be known to fail before anything is read: looked at before the pipeline runs. Posts nothing."""

from __future__ import annotations

import tempfile
import uuid

from apache_beam.io.filesystems import FileSystems

from aep.errors import NetworkError
from pipelines.runtime.plan import Plan
from pipelines.runtime.report import check_summary
from transforms.dead_letters import DeadLetterSinks
from transforms.kafka.send import check_writable
from transforms.parse_avro import ParseConfluentAvro
from transforms.post import token_source
from transforms.receipts import ReceiptSinks
from transforms.sinks.files import reason_of


class PreflightError(Exception):
    """Something the run needs is not there: what, where, and what to do."""


def preflight(plan: Plan) -> None:
    """Checks that files can be written, what TLS, proxies and a registry need, and that AEP gives a token.

    Beam makes a temporary folder as it builds a pipeline.

    Kafka and its topics are looked at when the start offsets are resolved, schemas and routes when the plan is made.

    Raises:
      PreflightError, KafkaSetupError, ConfigurationError: with one clear message.
    """
    _check_temporary_folder()
    _check_summary(plan.settings.general.summary_file)
    check_sinks(plan.dead_letters, "dead_letter", plan.local)
    check_sinks(plan.receipts, "receipt", plan.local)
    registries = [route.parse.registry for route in plan.routes if isinstance(route.parse, ParseConfluentAvro)]
    if plan.local and registries:
        registries[0].check()  # there is one in a run
    network = plan.connection.network
    if plan.local:
        network.check()
    elif network.has_files:
        return  # They are the workers', who alone can ask for a token with them.
    for route in plan.routes:
        tokens = token_source(route, plan.connection)
        if tokens is None:
            continue
        try:
            tokens.token()
        except NetworkError as error:
            raise PreflightError(f"no token: {error}; check aep_ims_url and the network") from None


def check_sinks(sinks: DeadLetterSinks | ReceiptSinks, name: str, local: bool) -> None:
    """Writes to the folder, and looks whether the topic can be written to.

    Args:
      sinks: where something is written.
      name: of the options that name it, before `_path` and `_topic`.
      local: whether this machine writes.

    Raises:
      PreflightError, KafkaSetupError: with one clear message.
    """
    # On a cluster a path of a local file system is the workers', and this machine's says nothing about it.
    if sinks.path and (local or "://" in sinks.path):
        _check_folder(sinks.path, name)
    if sinks.topic and sinks.cluster:
        check_writable(sinks.cluster, sinks.topic, f"{name}_topic")


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


def _check_folder(folder: str, name: str) -> None:
    try:
        probe = FileSystems.join(folder, f".probe-{uuid.uuid4().hex}")
        if not FileSystems.exists(folder) and "://" not in folder:
            FileSystems.mkdirs(folder)
        with FileSystems.create(probe) as file:
            file.write(b"")
        FileSystems.delete([probe])
    except Exception as error:  # noqa: BLE001 (each file system of Beam's has errors of its own)
        what = f"{name.replace('_', ' ')}s"
        raise PreflightError(f"{what} cannot be written to {folder}: {reason_of(error)}; check {name}_path") from None
