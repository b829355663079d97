"""Beam's own in-process runner, fixed for runs that do not end by themselves."""

from __future__ import annotations

from collections.abc import Iterable

from apache_beam.metrics import monitoring_infos
from apache_beam.portability.api import metrics_pb2
from apache_beam.runners.portability.fn_api_runner import fn_runner
from apache_beam.runners.worker import statesampler
from apache_beam.utils.counters import CounterFactory

_SAMPLING_MS = 2  # seldom enough that an idle run stays idle


def keep_metrics_small() -> None:
    """Have FnApiRunner add up the metrics of bundles as they end.

    It would keep those of each in a generator around the generator of all before, 40 kB a bundle, until the run ends.
    """
    fn_runner.consolidate_monitoring_infos = _consolidate


def _consolidate(infos: Iterable[metrics_pb2.MonitoringInfo]) -> list[metrics_pb2.MonitoringInfo]:
    return list(monitoring_infos.consolidate(infos))


class _StateSampler(statesampler.StateSampler):
    def __init__(self, prefix: str, counter_factory: CounterFactory, sampling_period_ms: int = _SAMPLING_MS):
        super().__init__(prefix, counter_factory, sampling_period_ms)


def end_bundles_at_once() -> None:
    """Have the thread wake up often with which Beam measures what its steps take.

    A bundle ends only when that thread does, which sleeps up to 200 ms: nothing is read meanwhile.
    """
    statesampler.StateSampler = _StateSampler
