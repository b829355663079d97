from __future__ import annotations

import logging
import tempfile
from dataclasses import replace
from pathlib import Path
from typing import Any

import apache_beam as beam
import pytest
from hypothesis import given
from hypothesis import strategies as st

from aep.errors import ConfigurationError
from tests.transforms.eager import Collect, apply
from tests.transforms.examples import record, route, routes
from tests.transforms.test_dead_letters import AT, dead_letters, letter
from transforms.records.chunk import CHUNK_RECORDS
from transforms.records.dead_letter import REPLAYS_HEADER, DeadLetter, dead_letter
from transforms.records.outcome import Refusal
from transforms.replay import (
    ChooseDeadLetters,
    OriginalRecords,
    ReadDeadLetterFiles,
    Selection,
    originals,
    set_aside,
)
from transforms.sinks.files import read_files, write_file
from transforms.worker import metrics, process

ANY = Selection(codes=(), stages=(), routes=(), since=None, until=None, max_attempts=None)
ROUTES = routes(route("events"), route("profiles"))


@pytest.mark.parametrize(
    ("given", "taken"),
    [
        ({}, True),
        ({"codes": ("enum", "type")}, True),
        ({"codes": ("enum",)}, False),
        ({"stages": ("validate",)}, True),
        ({"stages": ("post",)}, False),
        ({"routes": ("events",)}, True),
        ({"routes": ("profiles",)}, False),
        ({"since": AT}, True),
        ({"since": AT + 0.001}, False),
        ({"until": AT}, False),
        ({"until": AT + 0.001}, True),
        ({"max_attempts": 3}, True),
        ({"max_attempts": 2}, False),
        ({"codes": ("type",), "stages": ("post",)}, False),
    ],
)
def test_all_that_is_given_must_fit(given: dict[str, Any], taken: bool) -> None:
    assert replace(ANY, **given).takes(letter(route="events", replays=2)) is taken


def test_a_run_of_dead_letters_becomes_chunks_of_what_was_read() -> None:
    run = [letter(3), letter(4, partition=0), letter(1), letter(9, topic="profiles", replays=4)]
    chunks = originals(run)
    assert [(chunk.topic, chunk.partition) for chunk in chunks] == [("events", 2), ("events", 0), ("profiles", 2)]
    assert [one.offset for one in chunks[0].records] == [3, 1]
    assert chunks[0].records[0].headers == ((REPLAYS_HEADER, b"1"),)
    assert chunks[2].records[0].headers == ((REPLAYS_HEADER, b"5"),)
    assert apply(OriginalRecords(), [run]) == chunks


@given(dead_letters)
def test_refused_again_it_is_the_same_record_with_one_more_replay(one: DeadLetter) -> None:
    (chunk,) = originals([one])
    again = dead_letter(Refusal("post", "", "rejected", "no"), chunk.topic, chunk.partition, chunk.records[0])
    assert (again.topic, again.partition, again.record) == (one.topic, one.partition, one.record)
    assert again.replays == one.replays + 1


@pytest.mark.parametrize("content", [b"", b"-1", b"x", "²".encode(), b"1" * 5000, None])
def test_a_header_of_a_producer_that_is_no_count_does_no_harm(content: bytes | None) -> None:
    read = record(1, headers=((REPLAYS_HEADER, content),))
    one = dead_letter(Refusal("post", "", "rejected", "no"), "t", 0, read)
    assert (one.replays, one.record) == (0, read)


def read_all(files: list[str]) -> list[list[DeadLetter]]:
    collect = Collect()
    with beam.Pipeline("FnApiRunner") as pipeline:
        pipeline | ReadDeadLetterFiles(files) | collect
    return collect.taken()


def test_files_are_read_in_runs_and_counted(tmp_path: Path) -> None:
    files = [write_file(str(tmp_path), [letter(offset) for offset in range(start, 250)]) for start in (0, 240)]
    runs = read_all(files)
    assert max(len(run) for run in runs) == CHUNK_RECORDS
    assert sorted(one.record.offset for run in runs for one in run) == sorted([*range(250), *range(240, 250)])
    assert metrics.process_counts() == {"read": 260}
    assert read_all([]) == []


def test_a_request_to_stop_ends_the_read(tmp_path: Path) -> None:
    process.request_stop(grace_seconds=10)
    assert read_all([write_file(str(tmp_path), [letter()])]) == []


@pytest.mark.parametrize("line", [b"{", b"[]", b"7", b"{}", b"", letter().to_json().replace(b"2023-", b"-")])
def test_a_line_that_is_no_dead_letter_fails_the_run_with_file_and_line(line: bytes, tmp_path: Path) -> None:
    path = tmp_path / "a.jsonl"
    path.write_bytes(letter().to_json() + b"\n" + line + b"\n")
    with pytest.raises(Exception, match="is not a dead letter"):
        read_all([str(path)])
    assert isinstance(process.failure, ConfigurationError)
    assert str(process.failure).startswith(f"{path}, line 2, is not a dead letter: ")


def test_files_are_found_by_folder_or_pattern_and_never_below(tmp_path: Path) -> None:
    for name in ("20260101T000000-a", "20260201T000000-b", "replayed/20260101T000000-c"):
        path = tmp_path / f"{name}.jsonl"
        path.parent.mkdir(exist_ok=True)
        path.write_bytes(letter(code=name).to_json())
    assert [one.code for one in read_files(str(tmp_path))] == ["20260101T000000-a", "20260201T000000-b"]
    assert [one.code for one in read_files(str(tmp_path / "202601*.jsonl"))] == ["20260101T000000-a"]


def test_the_others_are_counted_and_a_topic_without_a_route_is_told_of_once(
    caplog: pytest.LogCaptureFixture,
) -> None:
    runs = [[letter(1), letter(2, code="enum")], [letter(3, topic="other")], [letter(4, topic="other")]]
    with caplog.at_level(logging.WARNING, "transforms"):
        chosen = apply(ChooseDeadLetters(replace(ANY, codes=("type",)), ROUTES.takes), runs)
    assert chosen == [[letter(1)]]
    assert metrics.process_counts() == {"passed_over": 3}
    assert caplog.messages == ["dead letters of topic other are passed over: the pipeline does not read it"]


@given(st.lists(st.tuples(st.sampled_from(["type", "enum"]), st.sampled_from(["events", "other"])), max_size=8))
def test_every_dead_letter_of_a_file_is_in_one_place_afterwards(kinds: list[tuple[str, str]]) -> None:
    with tempfile.TemporaryDirectory() as folder:
        letters = [letter(at, code=code, topic=topic) for at, (code, topic) in enumerate(kinds)]
        path = write_file(folder, letters)
        chosen = [one for one in letters if (one.code, one.topic) == ("type", "events")]
        assert set_aside(path, replace(ANY, codes=("type",)), ROUTES.takes) == len(chosen)
        replayed = Path(folder, "replayed")
        assert list(read_files(str(replayed))) == chosen if chosen else not replayed.exists()
        assert list(read_files(folder)) == [one for one in letters if one not in chosen]
        assert Path(path).exists() == (not chosen)


def test_what_cannot_be_put_into_its_new_place_stays_in_its_old_one(tmp_path: Path) -> None:
    path = write_file(str(tmp_path), [letter()])
    (tmp_path / "replayed").write_bytes(b"a file where the folder should be")
    with pytest.raises(OSError, match="replayed"):
        set_aside(path, ANY, ROUTES.takes)
    assert list(read_files(str(tmp_path))) == [letter()]
