"""PutToKinesis: batches to streams of Amazon Kinesis."""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import Future

from transforms.kinesis.connection import KinesisClient
from transforms.post import Post
from transforms.records.chunk import Batch
from transforms.records.delivery import Client, Connection, Counts, Delivery
from transforms.records.route import Routes
from transforms.worker.setup import PLAIN_WORKER, WorkerSetup


class PutToKinesis(Post):
    """Puts the records of each batch on the stream of its route; see `Post`.

    Batches go to the writer of the stream as they come, which makes requests of all waiting records, so that a
    throttled shard delays only its own.
    """

    def __init__(
        self,
        routes: Routes,
        connection: Connection,
        receipts: bool = False,
        latency: bool = False,
        worker: WorkerSetup = PLAIN_WORKER,
        late_answers_of: str | None = None,
    ):
        super().__init__(routes, connection, receipts, latency, worker, late_answers_of, KinesisPoster)


class KinesisPoster:
    """Hands batches to a client; needs no threads but the writer's."""

    def __init__(self, client: Client, connection: Connection):
        if not isinstance(client, KinesisClient):
            raise TypeError(f"expected a client of Kinesis, not {type(client).__name__}")
        self._client = client

    def post(self, batch: Batch, observer: Callable[[Counts], None]) -> Future[Delivery]:
        """Start a delivery; block while too much waits, which is how a slow stream slows the read."""
        return self._client.start(batch, observer)

    def take_renewals(self) -> int:
        """Return 0: boto3 renews credentials by itself."""
        return self._client.take_renewals()
