"""From options to what a pipeline that reads Kinesis is built from."""

from __future__ import annotations

import re
import time
import uuid
from dataclasses import dataclass
from functools import partial

import apache_beam as beam

from aep.errors import UserError
from kinesis.discovery import begin, end_of
from kinesis.lineage import readable
from kinesis.positions import Checkpoint
from pipelines.options.kinesis_types import NAMED_STARTS
from pipelines.options.settings import Settings
from pipelines.options.types import iso_time
from pipelines.runtime.plan import is_local, worker_setup
from pipelines.runtime.preflight import check_places
from pipelines.runtime.sinks import make_sinks
from transforms.kinesis.checkpoint import local_checkpoint
from transforms.kinesis.errors import as_user_error
from transforms.kinesis.read import ReadFromKinesis, close_readers, new_source_id
from transforms.kinesis.source import KinesisSource
from transforms.records.bundle_limits import BundleLimits
from transforms.replay import Reads
from transforms.sinks.base import Sinks, describe_all
from transforms.worker import process
from transforms.worker.setup import WorkerSetup

# Fills the last chunks of a bundle while there is nothing more to read.
_LINGER_SECONDS = 1.0


@dataclass(frozen=True)
class KinesisPlan:
    """All that a pipeline is built from which reads Kinesis and writes to sinks.

    Attributes:
        settings: All options.
        source: What is read.
        output: Where it is written.
        dead_letters: Where what cannot be used is written.
        run: Tells the runs of one process apart.
        local: Whether this process reads and writes.
    """

    settings: Settings
    source: KinesisSource
    output: Sinks
    dead_letters: Sinks
    run: str
    local: bool

    @property
    def worker(self) -> WorkerSetup:
        """What the processes of workers are like."""
        return worker_setup(self.settings)

    @property
    def receiver(self) -> str:
        """What people call what the records go to."""
        return describe_all(self.output)

    @property
    def ends(self) -> bool:
        """Whether reading ends by itself."""
        return self.settings.kinesis.stop_at == "end" or self.settings.kinesis.stop_after_seconds is not None

    @property
    def after_failure(self) -> str:
        """What users read of the next run, after an error that they have to fix."""
        return "The positions were not moved past the bundle that failed; it will be read again."

    @property
    def on_stop(self) -> str:
        """What users read that the run still does when it is asked to end."""
        return "finishing the bundle and saving its positions"

    @property
    def reads(self) -> Reads:
        """What tells the stream by its name or ARN from topics and other streams."""
        return partial(is_same_stream, self.source.stream)

    def check(self) -> None:
        """Check what can be checked before anything is read.

        Raises:
            UserError: Somebody has to change something.
        """
        check_places(self.settings, (*self.dead_letters, *self.output), self.local)

    def read(self) -> beam.PTransform:
        """Return the transform that reads: from the checkpoint, or for the first time from where the options say.

        Raises:
            UserError: The stream cannot be looked up, or the checkpoint file cannot be used.
        """
        try:
            start, end = self._first_and_last()
        except UserError:
            self.close()  # the checkpoint file, for another start in this process
            raise
        readers = 1 if self.local else max(1, len(readable(start.shards, lambda _: True)))
        return ReadFromKinesis(self.source, start, end, readers)

    def _first_and_last(self) -> tuple[Checkpoint, int | None]:
        """Return where to start, and the time up to which to read; None for no end."""
        kinesis, source = self.settings.kinesis, self.source
        if self.settings.dry_run:  # the same graph, for which nobody is asked
            return Checkpoint(source.stream), None
        saved = local_checkpoint(source) if self.local else None
        with as_user_error():
            client = source.access.client()
            start = saved.start if saved is not None else None
            if start is None:
                start = begin(client, source.stream, _start(kinesis.start), process.stop_requested.wait)
                if saved is not None:
                    saved.write(start)  # so that a crash before the first record does not move `latest`
            end = end_of(client, source.stream, process.stop_requested.wait) if kinesis.stop_at == "end" else None
        return start, end

    def close(self, commit_seconds: float = 0.0) -> None:
        """End what this process reads with, and let its checkpoint file go."""
        close_readers(self.source)


def make_kinesis_plan(settings: Settings) -> KinesisPlan:
    """Turn options into a plan; contacts nobody."""
    kinesis = settings.kinesis
    local = is_local(settings)
    stream = str(kinesis.stream)
    after = kinesis.stop_after_seconds
    source = KinesisSource(
        id=new_source_id(),
        stream=stream,
        access=kinesis.access(connections=1),
        reset=kinesis.reset,
        poll_seconds=kinesis.poll_seconds,
        limits=BundleLimits(
            max_records=kinesis.bundle_max_records,
            max_bytes=kinesis.bundle_max_bytes,
            max_seconds=kinesis.bundle_max_seconds,
            linger_seconds=_LINGER_SECONDS,
        ),
        checkpoint_file=(kinesis.checkpoint or _default_file(stream)) if local else None,
        deadline=None if after is None else time.time() + after,
    )
    return KinesisPlan(
        settings=settings,
        source=source,
        output=make_sinks("output", settings),
        dead_letters=make_sinks("dead_letter", settings),
        run=uuid.uuid4().hex,
        local=local,
    )


def _default_file(stream: str) -> str:
    """Return the checkpoint file of a stream, in the working directory."""
    return f"kinesis-{_name_of(stream)}.json"


def is_same_stream(stream: str, other: str) -> bool:
    """Return whether two names or ARNs are of one stream; a name is that of any account and region."""
    if stream.startswith("arn:") and other.startswith("arn:"):
        return stream == other
    return _name_of(stream) == _name_of(other)


def _name_of(stream: str) -> str:
    return re.sub(r"^arn:.*:stream/", "", stream)


def _start(start: str) -> str | int:
    """Return a name, or a time in milliseconds since 1970, before which nothing can have arrived."""
    return start if start in NAMED_STARTS else max(0, int(iso_time(start).timestamp() * 1000))
