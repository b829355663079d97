"""Every option of the pipelines, declared once.

A group's prefix and a field's name make the option's name: `kafka_` + `topics` is `--kafka_topics` on the
command line and `kafka_topics:` in an options file. Help, checks, Beam's view of the options and the table
that `--print_options` shows are all made from these models. The larger groups have files of their own.
"""

from typing import Literal

from pipelines.options.aep import AepOptions
from pipelines.options.codes import Codes
from pipelines.options.group import OptionGroup
from pipelines.options.group import option as _option
from pipelines.options.kafka import KafkaOptions
from pipelines.options.kafka_types import Place, Topic
from pipelines.options.kinesis import KinesisOptions
from pipelines.options.types import Count, Folder, Port, Seconds, Share, Stages, Strings, Time, seconds_of
from pipelines.options.xdm import MapOptions, XdmOptions
from transforms.batch import BatchMode
from transforms.replay import Selection

LogFormat = Literal["text", "json"]


class BatchOptions(OptionGroup):
    """Batching: one request carries a batch; whichever limit is reached first ends it."""

    mode: BatchMode = _option(
        "bundle", "bundle: a batch ends with its bundle. state: batches span bundles, in the runner's state."
    )
    max_messages: Count = _option(1_000, "Most messages in a request.", "messages")
    max_bytes: Count = _option(950_000, "Largest body of a request, envelope included; AEP takes 1 MB.", "bytes")
    max_seconds: Seconds = _option(1.0, "Longest time a batch waits for more messages.", "seconds")
    allow_unsafe: bool = _option(
        False, "Allow batch_mode=state on runners that lose the last batch (FnApiRunner, PrismRunner)."
    )


class SinkOptions(OptionGroup):
    """The sinks of dead letters and of receipts, each of which has these options."""

    path: Folder | None = _option(None, "Folder for files of JSON lines, on any file system of Beam's.")
    topic: Topic | None = _option(None, "Kafka topic, on the brokers of kafka_bootstrap_servers.")

    def sinks(self) -> dict[str, str]:
        """Return what is given of these options, by field."""
        values = {field: getattr(self, field) for field in SinkOptions.model_fields}
        return {field: value for field, value in values.items() if value is not None}


class DeadLetterOptions(SinkOptions):
    """Dead letters: where refused records go, with the reason and their original bytes."""

    max_first: Count | None = _option(
        500,
        "Stop the run when a worker process has refused this many records of a route before the post (parse, map, "
        "transform, validate) and passed none: its topic and its schema do not belong together. A replay does not "
        "stop. Null: never.",
        "records",
    )
    max_share: Share | None = _option(
        None,
        "When more than this share (0.5: half) of the last 1,000 records of a route were refused before the post in a "
        "worker process, the run stops. A replay does not stop. Null: never.",
        "parts of 1",
    )


class OutputOptions(SinkOptions):
    """Output: where pipelines that read Kinesis write: a topic, or files of JSON lines."""


class ReceiptOptions(SinkOptions):
    """Receipts: where to write AEP's xactionId and the place of each record that AEP has accepted."""


class ReplayOptions(OptionGroup):
    """Replay: which dead letters beam-aep replay sends again. They must match all filters that are set."""

    source: Place | None = _option(
        None,
        "Where they are: a folder, files such as FOLDER/2026*.jsonl, or topic:NAME. Null: dead_letter_path, or "
        "else dead_letter_topic.",
    )
    codes: Codes = _option((), "Codes of the reasons, such as required,type. Empty: all.")
    stages: Stages = _option((), "Stages that refused them; those in capitals are of Kafka Connect. Empty: all.")
    routes: Strings = _option((), "Names of the routes that they took. Empty: all.")
    since: Time | None = _option(None, "Dead-lettered at this time or later: ISO 8601 with its offset.")
    until: Time | None = _option(None, "Dead-lettered before this time: ISO 8601 with its offset.")
    max_attempts: Count | None = _option(
        None, "Skip those that were already replayed this many times. Null: none.", "replays"
    )
    group_id: str = _option(
        "beam-aep-replay",
        "Consumer group whose offsets remember how far a topic is replayed; another group starts over.",
    )

    def selection(self) -> Selection:
        """Return which dead letters are meant."""
        return Selection(
            codes=self.codes,
            stages=self.stages,
            routes=self.routes,
            since=seconds_of(self.since),
            until=seconds_of(self.until),
            max_attempts=self.max_attempts,
        )


class GeneralOptions(OptionGroup):
    """General: files with options, and what is shown."""

    options_file: Strings = _option(
        (),
        "YAML file of options. Repeatable; a later file overrides an earlier one, and the command line overrides all.",
    )
    routes_file: str | None = _option(None, "YAML file of routes, for a run with several destinations.")
    summary_file: str | None = _option(None, "Write the report of the run to this file as JSON.")
    report_file: str | None = _option(
        None,
        "Write a report of the run to this file, as a page of HTML: counts, plots over time, dead letters, options.",
    )
    print_options: bool = _option(False, "Print the merged options with the origin of each, and stop.")
    log_format: LogFormat = _option("text", "json: each line of the log is a JSON object.")
    shutdown_seconds: Seconds = _option(
        20.0,
        "How long deliveries may continue after SIGTERM or Ctrl-C, and when partitions go to another process of the "
        "group; records not delivered by then are read again. Keep it some seconds below what the orchestrator allows: "
        "Kubernetes kills after 30 s.",
        "seconds",
    )
    metrics_port: Port | None = _option(
        None,
        "Serve metrics for Prometheus at /metrics on this port of all addresses of the machine, and /health and /ready "
        "for probes. 0: a free port, which the log names. On a cluster each worker process takes this port or the next "
        "one that is free. Null: none.",
    )
    processes: Count = _option(
        1,
        "Run this many processes of one consumer group, which share the partitions, with one report, one progress line "
        "and one metrics page. On FnApiRunner only. Those beyond the number of partitions are idle.",
        "processes",
    )
    progress: Literal["auto", "on", "off"] = _option(
        "auto",
        "Progress line: in place on a terminal, else once a minute. on: every 5 seconds where there is no terminal. "
        "off: none.",
    )


# Group's attribute in Settings -> (prefix of its options, model).
GROUPS: dict[str, tuple[str, type[OptionGroup]]] = {
    "kafka": ("kafka_", KafkaOptions),
    "aep": ("aep_", AepOptions),
    "kinesis": ("kinesis_", KinesisOptions),
    "xdm": ("xdm_", XdmOptions),
    "map": ("map_", MapOptions),
    "batch": ("batch_", BatchOptions),
    "dead_letter": ("dead_letter_", DeadLetterOptions),
    "receipt": ("receipt_", ReceiptOptions),
    "output": ("output_", OutputOptions),
    "replay": ("replay_", ReplayOptions),
    "general": ("", GeneralOptions),
}
