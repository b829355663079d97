"""Memory, CPU and the like of the processes that work for this one: Prometheus' client library knows its own alone."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from functools import partial

from prometheus_client import CollectorRegistry, Metric, ProcessCollector
from prometheus_client.registry import Collector

Children = Callable[[], Mapping[int, int]]
"""Returns the ids of processes by their numbers."""

_PREFIX = "beam_aep_"


def no_children() -> Mapping[int, int]:
    """Return none."""
    return {}


class OfChildren(Collector):
    """What the client library exports of a process as `process_...`, of each child as `beam_aep_process_...`, with its
    number as the label `process`.

    Added up, CPU seconds would fall whenever a child ends, and rates of them rise to the skies.
    """

    def __init__(self, children: Children):
        self._children = children

    def collect(self) -> Iterator[Metric]:
        """Yield what there is; nothing of a child that has just ended."""
        found: dict[str, Metric] = {}
        for number, pid in sorted(self._children().items()):
            for of_one in ProcessCollector(pid=partial(int, pid), registry=CollectorRegistry()).collect():
                name = f"{_PREFIX}{of_one.name}"
                of_all = found.setdefault(name, Metric(name, of_one.documentation, of_one.type))
                for sample in of_one.samples:
                    of_all.add_sample(f"{_PREFIX}{sample.name}", {"process": str(number)}, sample.value)
        yield from found.values()
