"""Beam's own in-process runner, fixed for runs that do not end by themselves."""

from __future__ import annotations

from collections.abc import Iterable

from apache_beam.metrics import monitoring_infos
from apache_beam.portability.api import metrics_pb2
from apache_beam.runners.portability.fn_api_runner import fn_runner


def keep_metrics_small() -> None:
    """Have FnApiRunner add up the metrics of bundles as they end.

    It would keep those of each in a generator around the generator of all before, 40 kB a bundle, until the run ends.
    """
    fn_runner.consolidate_monitoring_infos = _consolidate


def _consolidate(infos: Iterable[metrics_pb2.MonitoringInfo]) -> list[metrics_pb2.MonitoringInfo]:
    return list(monitoring_infos.consolidate(infos))
