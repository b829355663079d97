"""PostToAep: batches to AEP's streaming ingestion."""

from __future__ import annotations

from transforms.post import Post
from transforms.records.delivery import Connection
from transforms.records.route import Routes
from transforms.worker.setup import PLAIN_WORKER, WorkerSetup


class PostToAep(Post):
    """Posts each batch to the inlet of its route; see `Post`."""

    def __init__(
        self,
        routes: Routes,
        connection: Connection,
        receipts: bool = False,
        latency: bool = False,
        worker: WorkerSetup = PLAIN_WORKER,
    ):
        super().__init__(routes, connection, receipts, latency, worker)
