"""Records to look at: of a file, or the newest of topics."""

from __future__ import annotations

import io
import time
from itertools import islice
from pathlib import Path

from aep.errors import ConfigurationError
from aep.formats.json_records import read_records
from pipelines.cli.event_lines import open_lines
from pipelines.cli.preview.choose import choose, is_json, reads_json
from pipelines.options.settings import Settings
from pipelines.runtime.kafka_cluster import kafka_cluster
from transforms.kafka.client import KafkaSetupError, admin_client, list_partitions, unknown_topics, why_unknown
from transforms.kafka.sample import read_newest
from transforms.records.chunk import Chunk
from transforms.records.record import Record
from transforms.records.route import Route, Routes


def read_file(path: str, topic: str, partition: int, limit: int, candidates: tuple[Route, ...]) -> Chunk:
    """Read records as a run with kafka_source=file does; a file that is no JSON is one record of a route that reads
    another format.

    Args:
        path: Of the file, decompressed if its ending says so; - for the standard input.
        topic, partition: That they are taken to be of.
        limit: Most records.
        candidates: The routes that take the topic.

    Raises:
        ConfigurationError: There are none.
        DamagedFileError: A compressed file is cut off or damaged.
        OSError: The file cannot be read.
    """
    headers, now = (("file", path.encode()),), int(time.time() * 1000)
    with open_lines(None if path == "-" else Path(path)) as source:
        if not reads_json(candidates):
            content = source.lines.read()
            if not is_json(content):
                return Chunk(topic, partition, [Record(1, now, None, headers, content)])
            entries = read_records(io.BytesIO(content)).entries
        else:
            entries = read_records(source.lines).entries
        records = [Record(number, now, None, headers, value) for number, value in islice(entries, limit)]
    if not records:
        raise ConfigurationError(f"{path} has no records")
    return Chunk(topic, partition, records)


def is_text(chunk: Chunk) -> bool:
    """Return whether the records of a file are JSON, if not all of it valid, in whichever format their route reads."""
    return any(is_json(record.value or b"") for record in chunk.records)


def read_topics(settings: Settings, routes: Routes, topic: str | None, route: str | None, number: int) -> list[Chunk]:
    """Read the newest records of a topic, or of all topics that the routes name.

    Args:
        settings: All options.
        routes: All of them.
        topic, route: Those that are meant; None for all.
        number: Of each topic, at most.

    Raises:
        ChoiceError: No route takes the topic.
        KafkaReadError, KafkaSetupError: Kafka cannot be read.
    """
    cluster = kafka_cluster(settings)
    if cluster is None:
        raise ConfigurationError("kafka_bootstrap_servers: missing: --sample reads topics; use --file for files")
    if topic is not None:
        wanted = [choose(routes, topic, route)[0]]
    else:
        wanted = list(routes.topics if route is None else choose(routes, None, route)[1][0].topics)
    admin = admin_client(cluster)
    partitions = list_partitions(cluster, admin, wanted)
    if missing := unknown_topics(wanted, partitions):
        raise KafkaSetupError(why_unknown(cluster, admin, missing, "the topics of the routes"))
    group = settings.kafka.group_id
    return [
        chunk for name, numbers in partitions.items() for chunk in read_newest(cluster, group, name, numbers, number)
    ]
