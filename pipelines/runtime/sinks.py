"""The kinds of sinks that options name: here a new one is added."""

from __future__ import annotations

from collections.abc import Callable, Iterator

from aep.errors import UserError
from pipelines.options.declarations import SinkOptions
from pipelines.options.readiness import OFFLINE, Check
from pipelines.options.settings import Settings
from pipelines.runtime.kafka_cluster import kafka_cluster
from transforms.sinks.base import Sink, Sinks, describe_all
from transforms.sinks.files import FileSink
from transforms.sinks.kafka import KafkaSink

# Makes a sink of the value of its option, the option's name for messages, and all options.
Make = Callable[[str, str, Settings], Sink]


def _folder(folder: str, option: str, settings: Settings) -> Sink:
    return FileSink(folder, option)


def _topic(topic: str, option: str, settings: Settings) -> Sink:
    cluster = kafka_cluster(settings)
    assert cluster is not None  # parse() refuses a topic without brokers
    return KafkaSink(topic, cluster, option)


SINKS: dict[str, Make] = {"path": _folder, "topic": _topic}
"""By their field in `SinkOptions`, in the order in which they are checked and written to."""


def sink_checks(subject: str, sinks: Sinks, local: bool, *, offline: bool = False) -> Iterator[Check]:
    """Check that sinks can be written to, as a run does before it starts.

    Args:
        subject: What is written to them.
        sinks: None, one or several.
        local: Whether this machine writes to them.
        offline: Check only those that need no network.
    """
    reachable: Sinks = ()
    for sink in sinks:
        if offline and sink.needs_network():
            yield Check(subject, "not checked", f"{sink.describe()}: {OFFLINE}")
        elif not local and not sink.needs_network():
            yield Check(subject, "not checked", f"{sink.describe()}: a folder of the workers")
        else:
            reachable += (sink,)
    if not reachable:
        return
    try:
        for sink in reachable:
            sink.check(local)
    except UserError as error:
        yield Check(subject, "wrong", str(error))
    else:
        yield Check(subject, "ok", f"can be written to {describe_all(reachable)}")


def make_sinks(group: str, settings: Settings) -> Sinks:
    """Make the sinks that a group of options names.

    Args:
        group: `dead_letter` or `receipt`.
        settings: All options.
    """
    options: SinkOptions = getattr(settings, group)
    given = options.sinks()
    return tuple(make(given[field], f"{group}_{field}", settings) for field, make in SINKS.items() if field in given)
