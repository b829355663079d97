from __future__ import annotations

import gzip
import subprocess
import sys
from collections.abc import Iterator
from datetime import datetime, timezone
from pathlib import Path
from random import Random

import apache_beam as beam
import orjson
import pytest
from apache_beam import coders
from hypothesis import given
from hypothesis import strategies as st

from aep.errors import ConfigurationError
from testing.services.kafka import KafkaBroker
from testing.services.process import PATIENCE_SECONDS
from tests.transforms.conftest import NewTopic
from tests.transforms.eager import apply
from tests.transforms.examples import chunk, record, records
from transforms.dead_letters import WriteDeadLetters
from transforms.kafka.client import KafkaCluster, KafkaSetupError
from transforms.records.dead_letter import DeadLetter, dead_letter
from transforms.records.outcome import Refusal
from transforms.sinks.base import SinkError
from transforms.sinks.files import FileSink, read_file, read_files, write_file
from transforms.sinks.kafka import KafkaSink
from transforms.worker import metrics, process

AT = 1_700_000_000.125
words = st.text(max_size=12)
errors = st.fixed_dictionaries(dict.fromkeys(("code", "pointer", "schema_pointer", "message"), words))
dead_letters = st.builds(
    DeadLetter,
    stage=words,
    code=words,
    message=words,
    topic=words,
    partition=st.integers(0, 2**31 - 1),
    record=records,
    route=words,
    pointer=words,
    errors=st.lists(errors, max_size=3),
    error_count=st.integers(1, 1000),
    schema=st.just({}) | st.fixed_dictionaries({"id": words, "version": words, "sha256": words}),
    attempts=st.integers(0, 100),
    replays=st.integers(0, 100),
    at=st.integers(0, 4_000_000_000_000).map(lambda milliseconds: milliseconds / 1000),
)


def letter(offset: int = 0, value: bytes | None = b"{}", **more: object) -> DeadLetter:
    one = DeadLetter("validate", "type", "wrong type", "events", 2, record(offset, value, key=b"k"), at=AT)
    for name, content in more.items():
        setattr(one, name, content)
    return one


def folder(path: Path) -> FileSink:
    return FileSink(str(path), "dead_letter_path")


@given(dead_letters)
def test_a_dead_letter_comes_back_from_json_as_it_was(one: DeadLetter) -> None:
    line = one.to_json()
    assert b"\n" not in line
    assert DeadLetter.from_json(line) == one
    assert DeadLetter.from_json(line).to_json() == line


@pytest.mark.parametrize(
    ("name", "wrong", "why"),
    [
        ("pointer", 5, "pointer: expected str"),
        ("code", None, "code: expected str"),
        ("partition", "x", "partition: expected int"),
        ("offset", 1.5, "offset: expected int"),
        ("schema", [], "schema: expected dict"),
        ("schema", {"id": 5}, "schema has something else than texts"),
        ("errors", {"code": "c"}, "errors: expected list"),
        ("errors", [{"code": "c"}], "one of errors has not code, pointer, message"),
        ("headers", [{"name": "h", "value": 5}], "value: expected text"),
        ("value", 5, "value: expected text"),
        ("at", 5, ""),
        ("at", "noon", ""),
        ("topic", ..., "it has no 'topic'"),
        ("value", ..., "it has no 'value'"),
    ],
)
def test_a_line_that_is_no_dead_letter_is_refused_with_the_field(
    name: str, wrong: object, why: str, tmp_path: Path
) -> None:
    fields = orjson.loads(letter().to_json())
    del fields[name]
    if wrong is not ...:
        fields[name] = wrong
    path = tmp_path / "a.jsonl"
    path.write_bytes(letter().to_json() + b"\n" + orjson.dumps(fields) + b"\n")
    with pytest.raises(ConfigurationError) as raised:
        list(read_files(str(tmp_path)))
    assert str(raised.value).startswith(f"{path}, line 2, is not a dead letter: {why}")


@pytest.mark.parametrize("line", [b"[]", b"5", b'"x"', b"null", b"{", b"", b"\x1f\x8b\x08\x00"])
def test_a_line_that_is_no_object_is_refused(line: bytes, tmp_path: Path) -> None:
    (tmp_path / "a.jsonl").write_bytes(line + b"\n")
    with pytest.raises(ConfigurationError, match=r"a\.jsonl, line 1, is not a dead letter: "):
        list(read_files(str(tmp_path)))


def test_text_is_text_bytes_are_base64_and_nothing_is_null() -> None:
    fields = orjson.loads(
        letter(value=b"\xff\x00", record=record(4, b"\xff\x00", headers=(("h", "é".encode()), ("n", None)))).to_json()
    )
    assert fields["value_base64"] == "/wA="
    assert "value" not in fields
    assert fields["key"] is None
    assert fields["headers"] == [{"name": "h", "value": "é"}, {"name": "n", "value": None}]
    assert fields["at"] == "2023-11-14T22:13:20.125+00:00"


def test_beam_finds_the_coder_and_takes_it_for_deterministic() -> None:
    coder = coders.registry.get_coder(DeadLetter)
    assert coder.is_deterministic()
    assert coder.decode(coder.encode(letter())) == letter()


def test_a_dead_letter_is_made_of_a_refusal_and_its_record() -> None:
    source = chunk(b"1", b"2", topic="t", partition=9)
    before = datetime.now(timezone.utc).timestamp()
    one = dead_letter(Refusal("post", "r", "rejected", "no"), source.topic, source.partition, source.records[1], 3)
    assert (one.stage, one.code, one.message, one.topic, one.partition) == ("post", "rejected", "no", "t", 9)
    assert (one.route, one.attempts, one.record, one.errors) == ("r", 3, source.records[1], [])
    assert before <= one.at <= datetime.now(timezone.utc).timestamp()


def test_headers_are_kafka_connects_and_ours_and_the_records_own_stay() -> None:
    one = letter(offset=7, record=record(7, b"{}", headers=(("trace", b"x"), ("trace", None))))
    headers = one.kafka_headers()
    assert headers[:2] == (("trace", b"x"), ("trace", None))
    named = dict(headers[2:])
    assert named["__connect.errors.topic"] == b"events"
    assert named["__connect.errors.partition"] == b"2"
    assert named["__connect.errors.offset"] == b"7"
    assert named["__connect.errors.stage"] == named["beam_aep.stage"] == b"validate"
    assert named["__connect.errors.exception.class.name"] == named["beam_aep.code"] == b"type"
    assert named["__connect.errors.exception.message"] == named["beam_aep.message"] == b"wrong type"
    assert named["beam_aep.at"] == b"2023-11-14T22:13:20.125+00:00"


def test_the_second_time_the_reasons_are_those_of_the_second() -> None:
    first = letter().kafka_headers()
    second = letter(code="rejected", record=record(0, headers=first)).kafka_headers()
    assert len(second) == len(first)
    assert dict(second)["beam_aep.code"] == b"rejected"


def test_dead_letters_need_a_sink() -> None:
    with pytest.raises(ValueError, match="dead letters need a sink"):
        WriteDeadLetters(())


def test_a_file_has_its_name_only_when_it_is_whole(tmp_path: Path) -> None:
    folder = tmp_path / "dead"

    def three() -> Iterator[DeadLetter]:
        for offset in range(3):
            yield letter(offset)
            assert not list(folder.glob("*.jsonl"))

    path = write_file(str(folder), three())
    assert [str(one) for one in folder.iterdir()] == [path]
    assert path.endswith(".jsonl")
    assert list(read_files(str(folder))) == [letter(0), letter(1), letter(2)]


def test_a_file_that_was_not_finished_is_not_read(tmp_path: Path) -> None:
    def broken() -> Iterator[DeadLetter]:
        yield letter()
        raise RuntimeError("cut")

    with pytest.raises(RuntimeError, match="cut"):
        write_file(str(tmp_path), broken())
    assert list(tmp_path.iterdir()) == []


def test_files_are_read_in_the_order_they_were_written(tmp_path: Path) -> None:
    names = ["20260101T000000-b", "20260101T000001-a", "20251231T235959-c"]
    for offset, name in enumerate(names):
        (tmp_path / f"{name}.jsonl").write_bytes(letter(offset).to_json() + b"\n")
    assert [one.record.offset for one in read_files(str(tmp_path))] == [2, 0, 1]


def test_a_bundle_writes_its_dead_letters_to_whole_files_and_counts_them_by_code(tmp_path: Path) -> None:
    written = [letter(offset) for offset in range(5)] + [letter(5, code="json")]
    assert apply(WriteDeadLetters((folder(tmp_path),)), written) == []
    assert sorted(one.record.offset for one in read_files(str(tmp_path))) == [0, 1, 2, 3, 4, 5]
    assert len(list(tmp_path.iterdir())) == 1
    assert metrics.process_counts() == {
        "dead_lettered/type": 5,
        "dead_lettered/json": 1,
        "dead_letters_of/type/": 5,
        "dead_letters_of/json/": 1,  # and no route
    }


def test_large_bundles_are_rolled_into_several_files(tmp_path: Path) -> None:
    written = [letter(offset, b"x" * 1_000_000) for offset in range(20)]
    apply(WriteDeadLetters((folder(tmp_path),)), written)
    sizes = [path.stat().st_size for path in tmp_path.iterdir()]
    assert len(sizes) == 3
    assert max(sizes) < 9_000_000
    assert sorted(one.record.offset for one in read_files(str(tmp_path))) == list(range(20))


def test_large_keys_and_headers_count_too(tmp_path: Path) -> None:
    large = record(0, b"{}", key=b"k" * 500_000, headers=(("h", b"h" * 500_000),))
    apply(WriteDeadLetters((folder(tmp_path),)), [letter(record=large) for _ in range(20)])
    assert len(list(tmp_path.iterdir())) == 3


def test_no_dead_letters_make_no_file(tmp_path: Path) -> None:
    apply(beam.Filter(lambda _: False) | WriteDeadLetters((folder(tmp_path),)), [letter()])
    assert list(tmp_path.iterdir()) == []


def test_a_folder_that_cannot_be_written_fails_the_bundle(tmp_path: Path) -> None:
    file = tmp_path / "file"
    file.write_bytes(b"")
    with pytest.raises(Exception, match="file"):
        apply(WriteDeadLetters((folder(file / "below"),)), [letter(route="r")])
    assert isinstance(process.failure, SinkError)
    assert str(process.failure) == f"{file / 'below'} cannot be written to: Not a directory; check dead_letter_path"
    # What is not written is not accounted for.
    assert metrics.process_counts() == {"failures/SinkError": 1}


def test_a_full_disk_is_named_and_gets_its_room_back(tmp_path: Path) -> None:
    # 4 kB a file, for a process of its own; the signal would end it.
    code = f"""
import resource, signal
from tests.transforms.test_dead_letters import letter
from transforms.sinks.base import SinkError
from transforms.sinks.files import FileSink
signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
resource.setrlimit(resource.RLIMIT_FSIZE, (4096, 4096))
try:
    FileSink({str(tmp_path)!r}, "dead_letter_path").write([letter(value=b"x" * 5000)] * 9)
except SinkError as error:
    print(error)
"""
    ran = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, timeout=PATIENCE_SECONDS, check=True
    )
    assert ran.stdout == f"{tmp_path} cannot be written to: File too large; check dead_letter_path\n"
    assert list(tmp_path.iterdir()) == []


@pytest.mark.kafka
def test_a_topic_gets_the_original_with_the_reason_in_headers(
    broker: KafkaBroker, cluster: KafkaCluster, new_topic: NewTopic, tmp_path: Path
) -> None:
    topic = new_topic()
    written = [letter(0, b"\xff"), letter(1, None)]
    apply(WriteDeadLetters((folder(tmp_path), KafkaSink(topic, cluster, "dead_letter_topic"))), written)
    found = sorted(broker.consume_all(topic), key=lambda message: message.value() is None)
    assert [(message.key(), message.value()) for message in found] == [(b"k", b"\xff"), (b"k", None)]
    assert [tuple(message.headers()) for message in found] == [one.kafka_headers() for one in written]
    assert list(read_files(str(tmp_path))) == written


@pytest.mark.kafka
def test_a_topic_that_does_not_take_them_fails_the_bundle_with_its_name(
    cluster: KafkaCluster, new_topic: NewTopic
) -> None:
    topic = new_topic(max_message_bytes=1000)
    with pytest.raises(Exception, match=topic):
        apply(
            WriteDeadLetters((KafkaSink(topic, cluster, "dead_letter_topic"),)), [letter(0, Random(7).randbytes(5000))]
        )
    assert isinstance(process.failure, KafkaSetupError)


def test_a_compressed_file_of_dead_letters_that_was_cut_off_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "a.jsonl.gz"
    packed = gzip.compress(letter().to_json() + b"\n")
    path.write_bytes(packed)
    assert list(read_file(str(path))) == [letter()]
    path.write_bytes(packed[:-1])
    with pytest.raises(ConfigurationError, match=f"{path} is cut off"):
        list(read_file(str(path)))
