"""What options mean together: values that are missing or contradict each other."""

import re
from collections.abc import Iterable, Iterator
from typing import NamedTuple

from pipelines.beam_options import RUNNERS_WITHOUT_DURABLE_STATE
from pipelines.option_types import TOPIC, seconds_of
from pipelines.options import Auth, Payload
from pipelines.settings import Settings

# What only a single-route run says with options; in a routes file each route says its own.
SINGLE_ROUTE = (
    "kafka_topics",
    "aep_inlet_url",
    "aep_dataset_id",
    "aep_flow_id",
    "xdm_schema_file",
    "xdm_schema_id",
)


class Finding(NamedTuple):
    """A problem of several options: the names it hangs on, and what to say."""

    names: tuple[str, ...]
    text: str


def contradictions(settings: Settings) -> Iterator[Finding]:
    """Finds what is missing or contradictory in options whose values are each valid."""
    yield from _source(settings)
    yield from _destination(settings)
    if settings.general.routes_file is None:
        yield from missing_credentials(settings, settings.aep.auth, f"aep_auth={settings.aep.auth}")
    yield from _batching(settings)
    yield from _dead_letters(settings)
    yield from _replay(settings)


def missing_credentials(settings: Settings, auth: Auth, because: str) -> Iterator[Finding]:
    """Finds the credentials that a way to authenticate needs and that are not given."""
    needed = {"none": (), "oauth": ("client_id", "client_secret"), "token": ("token",)}[auth]
    for field in needed:
        if getattr(settings.aep, field) is None:
            name = f"aep_{field}"
            yield Finding((name, "aep_auth"), f"{name}: missing: {because} needs it")


def needed_by(payload: Payload) -> tuple[str, ...]:
    """The fields of a route that its payload can't do without.

    An entity is put into an envelope that names the dataset (Streaming Ingestion API, message format); a
    message brings its own envelope; raw data has neither envelope nor schema.
    """
    return {"entity": ("dataset_id", "schema_file"), "message": ("schema_file",), "raw": ()}[payload]


def reads_dead_letters(topics: Iterable[str], dead_letter_topic: str | None) -> str | None:
    """Gives the topic or pattern among `topics` that would read the dead letters back in."""
    if dead_letter_topic is None:
        return None
    return next((topic for topic in topics if covers(topic, dead_letter_topic)), None)


def covers(topic: str, name: str) -> bool:
    """Says whether a topic, or a pattern of topics (^...), takes in the topic called `name`."""
    return re.match(topic, name) is not None if topic.startswith("^") else topic == name


def _given(settings: Settings, name: str) -> str:
    return f"{name} ({settings.origin(name)})"


def _source(settings: Settings) -> Iterator[Finding]:
    kafka = settings.kafka
    if kafka.source == "file":
        if kafka.file_pattern is None:
            yield Finding(
                ("kafka_file_pattern", "kafka_source"), "kafka_file_pattern: missing: kafka_source=file needs it"
            )
        return
    if kafka.bootstrap_servers is None:
        yield Finding(
            ("kafka_bootstrap_servers", "kafka_source"),
            "kafka_bootstrap_servers: missing: give the brokers as HOST:PORT, or kafka_source=file",
        )
    if not kafka.topics and settings.general.routes_file is None:
        yield Finding(("kafka_topics", "kafka_source", "routes_file"), "kafka_topics: missing: give the topics to read")


def _destination(settings: Settings) -> Iterator[Finding]:
    values = {name: getattr(getattr(settings, name.split("_")[0]), name.split("_", 1)[1]) for name in SINGLE_ROUTE}
    if settings.general.routes_file is not None:
        for name, value in values.items():
            if value:
                yield Finding(
                    (name, "routes_file"),
                    f"{_given(settings, name)}: contradicts {_given(settings, 'routes_file')}: "
                    "each route gives its own; take one of the two out",
                )
        return
    if settings.aep.inlet_url is None:
        yield Finding(
            ("aep_inlet_url", "routes_file"),
            "aep_inlet_url: missing: give the inlet to post to, or a routes_file",
        )
    for field in needed_by(settings.xdm.payload):
        name = f"xdm_{field}" if field == "schema_file" else f"aep_{field}"
        if values[name] is None:
            yield Finding(
                (name, "xdm_payload", "routes_file"), f"{name}: missing: xdm_payload={settings.xdm.payload} needs it"
            )


def _batching(settings: Settings) -> Iterator[Finding]:
    unsafe = settings.runner.rsplit(".", 1)[-1] in RUNNERS_WITHOUT_DURABLE_STATE
    if settings.batch.mode == "state" and unsafe and not settings.batch.allow_unsafe:
        yield Finding(
            ("batch_mode", "batch_allow_unsafe", "runner"),
            f"{_given(settings, 'batch_mode')}: state is not safe on {settings.runner}, which can lose the last "
            "batch: use batch_mode=bundle, or batch_allow_unsafe to try it all the same",
        )


def _dead_letters(settings: Settings) -> Iterator[Finding]:
    path, topic = settings.dead_letter.path, settings.dead_letter.topic
    if path is None and topic is None:
        yield Finding(
            ("dead_letter_path", "dead_letter_topic"),
            "dead_letter_path: missing: give a folder, or a dead_letter_topic, for records that AEP can't take",
        )
    if topic is not None and settings.kafka.bootstrap_servers is None and settings.kafka.source == "file":
        yield Finding(
            ("kafka_bootstrap_servers", "dead_letter_topic"),
            f"kafka_bootstrap_servers: missing: {_given(settings, 'dead_letter_topic')} needs it",
        )
    if again := reads_dead_letters(settings.kafka.topics, topic):
        yield Finding(
            ("dead_letter_topic", "kafka_topics"),
            f"{_given(settings, 'dead_letter_topic')}: is read again by {again} in {_given(settings, 'kafka_topics')}, "
            "a loop without end: use another topic",
        )


def _replay(settings: Settings) -> Iterator[Finding]:
    replay = settings.replay
    if (replay.source or "").startswith(TOPIC) and settings.kafka.bootstrap_servers is None:
        yield Finding(
            ("kafka_bootstrap_servers", "replay_source"),
            f"kafka_bootstrap_servers: missing: {_given(settings, 'replay_source')} needs it",
        )
    since, until = seconds_of(replay.since), seconds_of(replay.until)
    if since is not None and until is not None and since >= until:
        yield Finding(
            ("replay_since", "replay_until"),
            f"{_given(settings, 'replay_since')}: is not before {_given(settings, 'replay_until')}: nothing would fit",
        )
