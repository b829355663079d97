"""From options to a replay: where its dead letters are, which ones it takes, and what becomes of their files."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import apache_beam as beam
from apache_beam.io.filesystems import FileSystems

from aep.errors import ConfigurationError
from pipelines.options.destination import DestinationKind
from pipelines.options.settings import Settings
from pipelines.runtime.plan import Plan, make_plan
from pipelines.runtime.sinks import make_sinks
from transforms.kafka.client import (
    KafkaCluster,
    KafkaSetupError,
    admin_client,
    list_partitions,
    unknown_topics,
    why_unknown,
)
from transforms.read_dead_letter_topic import ReadDeadLetterTopic
from transforms.records.refusal_guard import NO_GUARD
from transforms.replay import REPLAYED, ReadDeadLetterFiles, Selection, set_aside
from transforms.sinks.base import describe_all, first_source
from transforms.sinks.files import list_files, reason_of
from transforms.sinks.places import TOPIC, topic_of


@dataclass(frozen=True)
class ReplayPlan(Plan):
    """All that a replay is built from; its subclasses say how it reads, and what becomes of what was replayed.

    Attributes:
        place: Where the dead letters are, as given.
        selection: Which of them are replayed.
    """

    place: str
    selection: Selection

    @property
    def measures_latency(self) -> bool:
        """False: the records were read once before."""
        return False

    def finish(self, finished: bool) -> str:
        """Tidy up after a replay; return the message for the user.

        Args:
            finished: Whether everything has ended well, and the replay was not cut short.

        Raises:
            ConfigurationError: That is not possible.
        """
        raise NotImplementedError


@dataclass(frozen=True)
class FileReplay(ReplayPlan):
    """A replay of the files of a folder, or of those that fit a pattern.

    Attributes:
        files: Those that are there before the run.
    """

    files: tuple[str, ...]

    def read(self) -> beam.PTransform:
        return ReadDeadLetterFiles(self.files)

    def finish(self, finished: bool) -> str:
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
                moved += set_aside(path, self.selection, self.routes)
            except Exception as error:  # noqa: BLE001 (each file system of Beam's has errors of its own)
                raise ConfigurationError(
                    f"{path}: its dead letters were replayed, but cannot be moved: {reason_of(error)}; move the file "
                    "away before the next replay, which would send them again"
                ) from None
        return f"{moved:,} dead letters were replayed and moved into the folder {REPLAYED} beside their files"


@dataclass(frozen=True)
class TopicReplay(ReplayPlan):
    """A replay of a topic, from the offsets of its group to the topic's present end."""

    def read(self) -> beam.PTransform:
        return ReadDeadLetterTopic(super().read())

    def finish(self, finished: bool) -> str:
        """Do nothing: the group's offsets remember what was replayed."""
        return ""


def make_replay_plan(settings: Settings, kind: DestinationKind[Any]) -> ReplayPlan:
    """Turn options into a plan, and look at the files or the topic.

    A replay has an end and remembers where it was, whatever the options say of the topics of the first run.

    Args:
        settings: All options.
        kind: Where the pipeline sends to.

    Raises:
        ConfigurationError, KafkaSetupError: There is no such place.
        OptionsError, SchemaError: As for every plan.
    """
    given = settings.replay
    sinks = make_sinks("dead_letter", settings)
    place = given.source or first_source(sinks)
    if place is None:
        raise ConfigurationError(f"replay_source: missing: nothing can be read back from {describe_all(sinks)}")
    kafka = {"group_id": given.group_id, "start": "committed", "reset": "earliest", "stop_at": "end"}
    settings = replace(
        settings,
        kafka=settings.kafka.model_copy(update=kafka),
        batch=settings.batch.model_copy(update={"mode": "bundle"}),  # the only mode that commits offsets
    )
    make = next(make for prefix, make in REPLAYS.items() if place.startswith(prefix))
    return make(place, given.selection(), settings, kind)


def _of_topic(place: str, selection: Selection, settings: Settings, kind: DestinationKind[Any]) -> ReplayPlan:
    plan = _plan(replace(settings, kafka=settings.kafka.model_copy(update={"source": "native"})), kind)
    topic = topic_of(place)
    assert topic is not None
    assert plan.source is not None  # parse() refuses a topic without brokers
    check_topic_is_there(plan.source.cluster, topic, "replay_source or dead_letter_topic")
    source = replace(plan.source, topics=(topic,))
    return TopicReplay(**{**vars(plan), "source": source}, place=place, selection=selection)


def _of_files(place: str, selection: Selection, settings: Settings, kind: DestinationKind[Any]) -> ReplayPlan:
    plan = _plan(settings, kind)
    files = tuple(find_files(place, "replay_source or dead_letter_path"))
    if settings.beam.get("no_wait_until_finish"):
        raise ConfigurationError(
            "no_wait_until_finish: a replay of files must be waited for, because it moves them at its end; remove it"
        )
    return FileReplay(**{**vars(plan), "source": None}, place=place, selection=selection, files=files)


MakeReplay = Callable[[str, Selection, Settings, DestinationKind[Any]], ReplayPlan]

REPLAYS: dict[str, MakeReplay] = {TOPIC: _of_topic, "": _of_files}
"""By how the place begins; the first that fits."""


def _plan(settings: Settings, kind: DestinationKind[Any]) -> Plan:
    # Somebody chose these records: that they are refused again, all of them, is no reason to stop.
    plan = make_plan(settings, kind)
    return replace(plan, routes=kind.replay_routes(plan.routes), guard=NO_GUARD)


def find_files(place: str, option: str) -> list[str]:
    """Return the files of dead letters that are there; a folder may have none.

    Raises:
        ConfigurationError: There is no such folder, no file fits the pattern, or it is a file of another kind.
    """
    if "://" not in place and not place.endswith(".jsonl") and Path(place).is_file():
        raise ConfigurationError(
            f"{place} is a file that does not end in .jsonl like files of dead letters; check {option}"
        )
    found = list_files(place)
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
