"""A replay's options: where it reads, which dead letters it takes, and what it decides itself."""

from __future__ import annotations

from pathlib import Path

import apache_beam as beam
import pytest

from aep.errors import ConfigurationError
from pipelines.kafka_to_aep import deliver
from pipelines.options.merge import OptionsError
from pipelines.replay_dead_letters import replay_dead_letters
from pipelines.runtime.plan import Plan
from pipelines.runtime.replay_plan import DeadLetterFiles, ReplayPlan
from testing.services.process import free_port
from tests.pipelines.to_aep import make_replay_plan, parse
from tests.transforms.test_dead_letters import letter
from transforms.kafka.client import KafkaSetupError
from transforms.replay import Selection
from transforms.sinks.files import read_files, write_file

SCHEMA = Path(__file__).parents[3] / "configs" / "schemas" / "loyalty-event.schema.json"


def plan_of(folder: Path, *arguments: str) -> ReplayPlan[Plan]:
    """Return the plan of a replay with the options of a run that wrote to the folder."""
    return make_replay_plan(
        parse(
            [
                "--kafka_source=file",
                "--kafka_file_pattern=x",
                "--kafka_topics=events",
                "--aep_inlet_url=https://dcs.adobedc.net/collection/abc",
                "--aep_dataset_id=d",
                f"--xdm_schema_file={SCHEMA}",
                f"--dead_letter_path={folder}",
                *arguments,
            ]
        )
    )


def files_of(plan: ReplayPlan[Plan]) -> tuple[str, ...]:
    assert isinstance(plan.source, DeadLetterFiles)
    return plan.source.files


def test_the_files_are_those_that_are_there_before_the_run(tmp_path: Path) -> None:
    files = [write_file(str(tmp_path), [letter(number)]) for number in range(2)]
    plan = plan_of(tmp_path)
    write_file(str(tmp_path), [letter(9)])
    assert sorted(files_of(plan)) == sorted(files)
    assert plan.selection == Selection((), (), (), None, None, None)
    one_file = plan_of(tmp_path, f"--replay_source={files[0]}")
    assert files_of(one_file) == (files[0],)


def test_the_filters(tmp_path: Path) -> None:
    plan = plan_of(
        tmp_path,
        "--replay_codes=enum,type",
        "--replay_stages=validate",
        "--replay_routes=default",
        "--replay_since=2026-01-31T08:00:00Z",
        "--replay_until=2026-01-31T10:00:00+01:00",
        "--replay_max_attempts=2",
    )
    assert plan.selection == Selection(("enum", "type"), ("validate",), ("default",), 1769846400, 1769850000, 2)


def test_whatever_the_first_run_did_a_replay_ends_and_commits(tmp_path: Path) -> None:
    first = ["--kafka_start=latest", "--kafka_reset=error", "--kafka_stop_after_seconds=60", "--batch_mode=state"]
    plan = plan_of(tmp_path, *first, "--batch_allow_unsafe")
    kafka = plan.settings.kafka
    assert (kafka.start, kafka.reset, kafka.stop_at) == ("committed", "earliest", "end")
    assert kafka.stop_after_seconds is None
    assert kafka.group_id == "beam-aep-replay"
    assert plan.plan.batch_mode == "bundle"


def test_a_folder_with_nothing_in_it_is_a_run_with_nothing_to_do(tmp_path: Path) -> None:
    plan = plan_of(tmp_path)
    assert files_of(plan) == ()
    pipeline = beam.Pipeline("FnApiRunner")
    replay_dead_letters(pipeline, plan, deliver)
    pipeline.run().wait_until_finish()
    assert plan.finish(finished=True) == f"there are no dead letters in {tmp_path}"


def test_the_steps_are_those_of_the_first_run(tmp_path: Path) -> None:
    # Not JSON, so that nothing is posted: the dead letter comes back with the reason of today.
    write_file(str(tmp_path), [letter(5, b"no json", topic="events", code="type")])
    plan = plan_of(tmp_path)
    pipeline = beam.Pipeline("FnApiRunner")
    replay_dead_letters(pipeline, plan, deliver)
    pipeline.run().wait_until_finish()
    assert plan.finish(finished=True).startswith("1 dead letter replayed")
    (again,) = read_files(str(tmp_path))
    assert (again.stage, again.code, again.replays, again.record) == ("parse", "json", 1, letter(5, b"no json").record)
    assert again.route == "default"


def test_a_replay_that_was_stopped_moves_nothing(tmp_path: Path) -> None:
    write_file(str(tmp_path), [letter()])
    assert plan_of(tmp_path).finish(finished=False).startswith("stopped: no dead letter of ")
    assert len(list(read_files(str(tmp_path)))) == 1


def test_a_file_that_cannot_be_moved_is_named(tmp_path: Path) -> None:
    path = write_file(str(tmp_path), [letter()])
    plan = plan_of(tmp_path)
    Path(path).unlink()
    with pytest.raises(ConfigurationError, match="move the file away") as raised:
        plan.finish(finished=True)
    assert path in str(raised.value)


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["--replay_source=no-such-folder"], "no folder no-such-folder"),
        (["--replay_source=a/2026*.jsonl"], "no file matches a/2026*.jsonl"),
        (["--no_wait_until_finish"], "must be waited for"),
    ],
)
def test_what_is_not_there_is_refused(arguments: list[str], words: str, tmp_path: Path) -> None:
    with pytest.raises(ConfigurationError) as raised:
        plan_of(tmp_path, *arguments)
    assert words in str(raised.value)


def test_brokers_that_do_not_answer(tmp_path: Path) -> None:
    with pytest.raises(KafkaSetupError, match="no Kafka broker answers"):
        plan_of(tmp_path, "--replay_source=topic:dead", f"--kafka_bootstrap_servers=127.0.0.1:{free_port()}")


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["--replay_source=topic:dead"], "kafka_bootstrap_servers: missing: replay_source (command line) needs it"),
        (["--replay_source=topic:^dead"], "replay_source: must be the name of a topic"),
        (["--replay_since=2026-01-31"], "replay_since: must be an ISO 8601 time with its offset"),
        (["--replay_until=noon"], "replay_until: must be an ISO 8601 time with its offset"),
        (["--replay_max_attempts=0"], "replay_max_attempts: must be greater than 0"),
        (
            ["--replay_since=2026-01-31T08:00:00Z", "--replay_until=2026-01-31T09:00:00+01:00"],
            "replay_since (command line): is not before replay_until (command line)",
        ),
    ],
)
def test_options_that_cannot_be_right(arguments: list[str], words: str, tmp_path: Path) -> None:
    with pytest.raises(OptionsError) as raised:
        plan_of(tmp_path, *arguments)
    assert words in str(raised.value)
