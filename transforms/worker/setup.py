"""What is set up in a worker's process before it works, once, however many DoFns ask for it."""

from __future__ import annotations

from dataclasses import dataclass
from functools import partial

from transforms.worker import process
from transforms.worker.monitor import open_monitor_of_worker


@dataclass(frozen=True)
class WorkerSetup:
    """What a worker's process is like.

    Attributes:
        metrics_port: Where it serves its metrics, or on the next port that is free; 0 for any free one, None for none.
    """

    metrics_port: int | None = None

    def apply(self) -> None:
        """Set up this process."""
        process.set_up_worker()
        if self.metrics_port is not None:
            process.shared("monitor", partial(open_monitor_of_worker, self.metrics_port))


PLAIN_WORKER = WorkerSetup()
"""Serves no metrics."""
