"""What can be known to fail before anything is read: looked at before the pipeline runs. Posts nothing."""

from __future__ import annotations

import uuid

from apache_beam.io.filesystems import FileSystems

from aep.errors import NetworkError
from pipelines.plan import Plan
from transforms.aep import token_source
from transforms.dead_letters import DeadLetterSinks
from transforms.kafka_client import KafkaSetupError, admin_client, list_partitions, unknown_topics


class PreflightError(Exception):
    """Something the run needs is not there: what, where, and what to do."""


def preflight(plan: Plan) -> None:
    """Checks that dead letters can be written and that AEP gives a token.

    Kafka and its topics are looked at when the start offsets are resolved, schemas and routes when the plan is made.

    Raises:
      PreflightError, KafkaSetupError, ConfigurationError: with one clear message.
    """
    _check_dead_letters(plan.dead_letters, plan.local)
    for route in plan.routes:
        tokens = token_source(route, plan.connection)
        if tokens is None:
            continue
        try:
            tokens.token()
        except NetworkError as error:
            raise PreflightError(f"no token: {error}; check aep_ims_url and the network") from None


def _check_dead_letters(sinks: DeadLetterSinks, local: bool) -> None:
    # On a cluster a path of a local file system is the workers', and this machine's says nothing about it.
    if sinks.path and (local or "://" in sinks.path):
        _check_folder(sinks.path)
    if sinks.topic and sinks.cluster:
        found = list_partitions(sinks.cluster, admin_client(sinks.cluster), [sinks.topic])
        if unknown_topics([sinks.topic], found):
            raise KafkaSetupError(
                f"no topic {sinks.topic} on {sinks.cluster.bootstrap_servers}; check dead_letter_topic"
            )


def _check_folder(folder: str) -> None:
    probe = FileSystems.join(folder, f".probe-{uuid.uuid4().hex}")
    try:
        if not FileSystems.exists(folder) and "://" not in folder:
            FileSystems.mkdirs(folder)
        with FileSystems.create(probe) as file:
            file.write(b"")
        FileSystems.delete([probe])
    except Exception as error:  # noqa: BLE001 (each file system of Beam's has errors of its own)
        reason = getattr(error, "strerror", None) or str(error).partition("\n")[0] or type(error).__name__
        raise PreflightError(f"dead letters cannot be written to {folder}: {reason}; check dead_letter_path") from None
