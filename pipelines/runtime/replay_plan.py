"""From options to a replay: where its dead letters are, which ones it takes, and what becomes of their files."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from itertools import chain
from pathlib import Path
from typing import Generic, Protocol

import apache_beam as beam
from apache_beam.io.filesystems import FileSystems

from aep.counted import counted
from aep.errors import ConfigurationError
from pipelines.options.checks import written_topics
from pipelines.options.problems import Finding
from pipelines.options.settings import Settings
from pipelines.runtime.job import R, Replay, Run
from pipelines.runtime.plan import find_start, kafka_source, read_topics
from pipelines.runtime.sinks import make_sinks
from transforms.kafka.client import (
    KafkaCluster,
    KafkaSetupError,
    admin_client,
    list_partitions,
    unknown_topics,
    why_unknown,
)
from transforms.kafka.read import close_readers
from transforms.kafka.source import KafkaSource
from transforms.read_dead_letter_topic import ReadDeadLetterTopic, read_topic
from transforms.records.dead_letter import DeadLetter
from transforms.records.open_file import reason_of
from transforms.replay import REPLAYED, ReadDeadLetterFiles, Reads, Selection, set_aside
from transforms.sinks.base import Sinks, describe_all, first_source
from transforms.sinks.files import list_files, read_file
from transforms.sinks.places import TOPIC, topic_of


class DeadLetters(Protocol):
    """Where the dead letters of a replay are: how they are read, and what becomes of those that were replayed."""

    @property
    def after_failure(self) -> str:
        """What users read of the next replay, after an error that they have to fix."""

    @property
    def on_stop(self) -> str:
        """What users read that the replay still does when it is asked to end."""

    def read(self) -> beam.PTransform:
        """Return the transform that reads."""

    def look(self) -> Iterator[DeadLetter]:
        """Yield those that a replay would read, and move nothing.

        Raises:
            ConfigurationError, KafkaReadError, KafkaSetupError: They cannot be read.
        """

    def close(self, commit_seconds: float) -> None:
        """End what this process reads with."""

    def finish(self, finished: bool, selection: Selection, reads: Reads) -> str:
        """Tidy up after a replay; return the message for the user.

        Args:
            finished: Whether everything has ended well, and the replay was not cut short.
            selection, reads: Which of them were replayed, see `transforms.replay.is_chosen`.

        Raises:
            ConfigurationError: That is not possible.
        """


@dataclass(frozen=True)
class DeadLetterFiles:
    """The files of a folder, or those that fit a pattern.

    Attributes:
        place: As given.
        files: Those that are there before the run.
    """

    place: str
    files: tuple[str, ...]

    @property
    def after_failure(self) -> str:
        return "The next replay reads the files from their beginning, and sends again the records that were accepted."

    @property
    def on_stop(self) -> str:
        return "finishing the bundle"

    def read(self) -> beam.PTransform:
        return ReadDeadLetterFiles(self.files)

    def look(self) -> Iterator[DeadLetter]:
        return chain.from_iterable(map(read_file, self.files))

    def close(self, commit_seconds: float) -> None:
        """Do nothing: no file stays open."""

    def finish(self, finished: bool, selection: Selection, reads: Reads) -> str:
        """Move the dead letters that were replayed into the folder `replayed` beside their files.

        Only once everything has ended well: a replay that was cut short is made again from the same files.
        """
        if not self.files:
            return f"there are no dead letters in {self.place}"
        if not finished:
            return f"stopped: no dead letter of {self.place} was moved, and the next replay reads them all again"
        moved = 0
        for path in self.files:
            try:
                moved += set_aside(path, selection, reads)
            except Exception as error:  # noqa: BLE001 (each file system of Beam's has errors of its own)
                raise ConfigurationError(
                    f"{path}: its dead letters were replayed, but cannot be moved: {reason_of(error)}; move the file "
                    "away before the next replay, which would send them again"
                ) from None
        return f"{counted(moved, 'dead letter')} replayed and moved into the folder {REPLAYED} beside their files"


@dataclass(frozen=True)
class DeadLetterTopic:
    """A topic, from the offsets of its group to the topic's present end.

    Attributes:
        source: What reads it.
        settings: All options.
    """

    source: KafkaSource
    settings: Settings

    @property
    def after_failure(self) -> str:
        return "Nothing of the bundle was committed; it will be read again."

    @property
    def on_stop(self) -> str:
        return "finishing the bundle and committing its offsets"

    def read(self) -> beam.PTransform:
        start = find_start(self.source, self.settings)
        return ReadDeadLetterTopic(read_topics(self.source, self.settings, start, commit=True))

    def look(self) -> Iterator[DeadLetter]:
        (topic,) = self.source.topics
        return read_topic(self.source.cluster, topic, self.source.group_id)

    def close(self, commit_seconds: float) -> None:
        close_readers(self.source.id, commit_seconds)

    def finish(self, finished: bool, selection: Selection, reads: Reads) -> str:
        """Do nothing: the group's offsets remember what was replayed."""
        return ""


@dataclass(frozen=True)
class ReplayPlan(Generic[R]):
    """All that a replay is built from.

    Attributes:
        plan: Of the pipeline that wrote the dead letters: what its steps after the read are built from.
        source: Where the dead letters are.
        selection, reads: Which of them are replayed, see `transforms.replay.is_chosen`.
    """

    plan: R
    source: DeadLetters
    selection: Selection
    reads: Reads

    @property
    def settings(self) -> Settings:
        return self.plan.settings

    @property
    def local(self) -> bool:
        return self.plan.local

    @property
    def dead_letters(self) -> Sinks:
        return self.plan.dead_letters

    @property
    def receiver(self) -> str:
        return self.plan.receiver

    @property
    def ends(self) -> bool:
        return True

    @property
    def after_failure(self) -> str:
        return self.source.after_failure

    @property
    def on_stop(self) -> str:
        return self.source.on_stop

    def close(self, commit_seconds: float = 0.0) -> None:
        self.source.close(commit_seconds)

    def finish(self, finished: bool) -> str:
        """Tidy up after a replay, see `DeadLetters.finish`."""
        return self.source.finish(finished, self.selection, self.reads)


def replay_run_findings(run: Run[R], settings: Settings) -> Iterator[Finding]:
    """Find what is missing or contradictory in the options of a replay of a pipeline's dead letters.

    The brokers that the pipeline reads from are not asked where the dead letters are in files, and none is written to.
    """
    if settings.dry_run:
        yield Finding(("dry_run",), "dry_run: a replay has none: beam-aep replay --preview shows what one would do")
    for finding in run.findings(settings):
        if finding.names != ("kafka_bootstrap_servers", "kafka_source") or written_topics(settings):
            yield finding


def make_replay_plan(settings: Settings, replay: Replay[R]) -> ReplayPlan[R]:
    """Turn options into a plan, and look at the files or the topic.

    A replay has an end and remembers where it was, whatever the options say of the topics of the first run.

    Args:
        settings: All options.
        replay: Of the pipeline that wrote the dead letters.

    Raises:
        ConfigurationError, KafkaSetupError: There is no such place.
        OptionsError, SchemaError: As for every plan.
    """
    given = settings.replay
    sinks = make_sinks("dead_letter", settings)
    place = given.source or first_source(sinks)
    if place is None:
        raise ConfigurationError(f"replay_source: missing: nothing can be read back from {describe_all(sinks)}")
    kafka = {
        "group_id": given.group_id,
        "start": "committed",
        "reset": "earliest",
        "stop_at": "end",
        "stop_after_seconds": None,
    }
    settings = replace(
        settings,
        kafka=settings.kafka.model_copy(update=kafka),
        batch=settings.batch.model_copy(update={"mode": "bundle"}),  # the only mode that commits offsets
    )
    plan = replay.plan(settings)
    find = next(find for prefix, find in REPLAYS.items() if place.startswith(prefix))
    return ReplayPlan(plan, find(place, settings), given.selection(), replay.reads(plan))


def _topic(place: str, settings: Settings) -> DeadLetterTopic:
    topic = topic_of(place)
    assert topic is not None
    source = kafka_source(settings, [topic])
    assert source is not None  # parse() refuses a topic without brokers
    check_topic_is_there(source.cluster, topic, "replay_source or dead_letter_topic")
    return DeadLetterTopic(source, settings)


def _files(place: str, settings: Settings) -> DeadLetterFiles:
    files = tuple(find_files(place, "replay_source or dead_letter_path"))
    if settings.beam.get("no_wait_until_finish"):
        raise ConfigurationError(
            "no_wait_until_finish: a replay of files must be waited for, because it moves them at its end; remove it"
        )
    return DeadLetterFiles(place, files)


REPLAYS: dict[str, Callable[[str, Settings], DeadLetters]] = {TOPIC: _topic, "": _files}
"""By how the place begins; the first that fits."""


def find_files(place: str, option: str) -> list[str]:
    """Return the files of dead letters that are there; a folder may have none.

    Raises:
        ConfigurationError: There is no such folder, it cannot be looked into, no file fits the pattern, or it is a
            file of another kind.
    """
    if "://" not in place and not place.endswith(".jsonl") and Path(place).is_file():
        raise ConfigurationError(
            f"{place} is a file that does not end in .jsonl like files of dead letters; check {option}"
        )
    try:
        found = list_files(place)
    except Exception as error:  # noqa: BLE001 (each file system of Beam's has errors of its own)
        raise ConfigurationError(f"{place} cannot be looked into: {reason_of(error)}; check {option}") from None
    if not found and place.endswith(".jsonl"):
        raise ConfigurationError(f"no file matches {place}; check {option}")
    # In an object store a folder is where there are files.
    if not found and "://" not in place and not FileSystems.exists(place):
        raise ConfigurationError(f"no folder {place}; check {option}")
    return found


def check_topic_is_there(cluster: KafkaCluster, topic: str, option: str) -> None:
    """Look for the topic.

    Raises:
        KafkaSetupError: There is none.
    """
    admin = admin_client(cluster)
    if missing := unknown_topics([topic], list_partitions(cluster, admin, [topic])):
        raise KafkaSetupError(why_unknown(cluster, admin, missing, option))
