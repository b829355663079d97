from __future__ import annotations

from pipelines.options.declarations import SinkOptions
from pipelines.runtime.sinks import SINKS, make_sinks
from tests.pipelines.options.test_merge import MINIMAL
from tests.pipelines.to_aep import parse
from transforms.kafka.client import KafkaCluster
from transforms.sinks.files import FileSink
from transforms.sinks.kafka import KafkaSink


def test_each_option_of_sinks_makes_one_and_no_sink_is_without_option() -> None:
    assert SINKS.keys() == SinkOptions.model_fields.keys()


def test_dead_letters_and_receipts_have_the_same_sinks_by_their_own_options() -> None:
    settings = parse([*MINIMAL, "--dead_letter_topic=d", "--receipt_topic=r", "--receipt_path=out"])
    cluster = KafkaCluster(str(settings.kafka.bootstrap_servers), {})
    folder = str(settings.dead_letter.path)
    assert make_sinks("dead_letter", settings) == (
        FileSink(folder, "dead_letter_path"),
        KafkaSink("d", cluster, "dead_letter_topic"),
    )
    assert make_sinks("receipt", settings) == (
        FileSink("out", "receipt_path"),
        KafkaSink("r", cluster, "receipt_topic"),
    )
    assert make_sinks("receipt", parse(MINIMAL)) == ()
