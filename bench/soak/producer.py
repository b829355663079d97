"""Writes samples to Kafka at a steady rate, whatever happens to the broker, each exactly once."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator
from itertools import islice

from confluent_kafka import KafkaError, Message
from confluent_kafka import Producer as Client

from samples.loyalty import Sample
from testing.services.process import ServiceError

_PACE_SECONDS = 0.02
_FLUSH_SECONDS = 60


class SteadyProducer:
    """A thread that writes samples at a given rate to their topics; `stop` ends it.

    While the broker is away samples wait in the client, in their order; an idempotent producer writes none twice.

    Attributes:
        sent: Samples handed to the client.
        acknowledged: Samples that the broker has confirmed.
    """

    def __init__(self, bootstrap_servers: str, samples: Iterator[Sample], rate: float):
        self.sent = 0
        self.acknowledged = 0
        self._samples = samples
        self._rate = rate
        self._refused: KafkaError | None = None
        self._failed: Exception | None = None
        self._stop = threading.Event()
        properties = {
            "bootstrap.servers": bootstrap_servers,
            "enable.idempotence": True,
            "linger.ms": 20,
            # What it would say while the broker is away is no news.
            "log_level": 2,
        }
        self._client = Client(properties)
        self._thread = threading.Thread(target=self._run, name="producer", daemon=True)

    def start(self) -> None:
        self._thread.start()

    def check(self) -> None:
        """Make sure that it is still running.

        Raises:
            ServiceError: Kafka has refused a sample for good, or the thread has failed.
        """
        if self._refused is not None:
            raise ServiceError(f"Kafka refused a sample: {self._refused.str()}")
        if self._failed is not None:
            raise ServiceError("the producer failed") from self._failed

    def stop(self) -> None:
        """End it and return when the broker has confirmed every sample.

        Raises:
            ServiceError: It has not, or something failed before.
        """
        self._stop.set()
        self._thread.join()
        left = self._client.flush(_FLUSH_SECONDS)
        self.check()
        if left or self.acknowledged != self.sent:
            raise ServiceError(
                f"Kafka has confirmed {self.acknowledged:,} of {self.sent:,} samples after {_FLUSH_SECONDS} s"
            )

    def _run(self) -> None:
        started = time.monotonic()
        try:
            while not self._stop.is_set():
                due = int((time.monotonic() - started) * self._rate) - self.sent
                for sample in islice(self._samples, due):
                    self._write(sample)
                self._client.poll(0)
                self._stop.wait(_PACE_SECONDS)
        except Exception as error:  # noqa: BLE001 - raised again by check, in the thread that looks
            self._failed = error

    def _write(self, sample: Sample) -> None:
        headers = [("sequence", str(sample.sequence).encode())]
        while True:
            try:
                self._client.produce(
                    sample.topic, sample.value, sample.key, headers=headers, on_delivery=self._on_delivery
                )
                break
            except BufferError:  # full: the broker is away for long
                self._client.poll(_PACE_SECONDS)
        self.sent += 1

    def _on_delivery(self, error: KafkaError | None, _: Message) -> None:
        if error is None:
            self.acknowledged += 1
        else:
            self._refused = error
