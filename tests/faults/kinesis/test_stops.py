"""What stops a run of `profiles_to_kinesis`: somebody has to act, nothing is lost, and the next run goes on."""

from __future__ import annotations

import shutil
from collections import Counter
from contextlib import ExitStack
from typing import Any

import orjson
import pytest

from testing.services.process import PATIENCE_SECONDS, wait_for
from tests.faults.kinesis.campaign import BUNDLE, PROFILES, Campaign, ten_minutes_ahead

pytestmark = pytest.mark.kafka


@pytest.mark.parametrize(
    ("switches", "words"),
    [
        ({"denied_actions": ["kinesis:PutRecords"]}, "lack the right kinesis:PutRecords"),
        ({"expired_keys": ["*"]}, "AWS refuses the credentials (ExpiredTokenException): renew them"),
        ({"request_rate": {"KMSDisabledException": 1.0}}, "the KMS key that encrypts the stream is disabled"),
    ],
    ids=["right", "credentials", "key"],
)
def test_what_is_taken_away_while_the_pipeline_runs(
    campaign: Campaign, switches: dict[str, Any], words: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert campaign.run_into(lambda: campaign.kinesis.switch(**switches)) == 2
    assert words in said(capsys)
    campaign.check_stopped()
    campaign.kinesis.clear_switches()
    campaign.finish()


def test_the_stream_is_deleted(campaign: Campaign, capsys: pytest.CaptureFixture[str]) -> None:
    client = campaign.kinesis.client()

    def delete() -> None:
        client.delete_stream(StreamName=campaign.stream)
        wait_for(
            lambda: campaign.stream not in client.list_streams()["StreamNames"],
            PATIENCE_SECONDS,
            "the end of the stream",
        )

    assert campaign.run_into(delete) == 2
    assert f"no such stream {campaign.stream}" in said(capsys)
    assert campaign.committed == PROFILES
    assert not campaign.dead()
    client.create_stream(StreamName=campaign.stream, ShardCount=2)
    campaign.kinesis.wait_until_active(campaign.stream)
    assert campaign.run() == 0
    assert campaign.there() == Counter(range(PROFILES, campaign.made))


def test_the_clock_is_ten_minutes_off(campaign: Campaign, capsys: pytest.CaptureFixture[str]) -> None:
    with ExitStack() as stack:
        assert campaign.run_into(lambda: stack.enter_context(ten_minutes_ahead())) == 2
    assert "is the clock of this machine right" in said(capsys)
    campaign.check_stopped()
    campaign.finish()


def test_the_clock_is_ten_minutes_off_from_the_start(campaign: Campaign, capsys: pytest.CaptureFixture[str]) -> None:
    with ten_minutes_ahead():
        assert campaign.run() == 2
    assert "is the clock of this machine right" in said(capsys)
    assert (campaign.summary["outcome"], campaign.summary["read"]) == ("failed", 0)
    assert campaign.committed == 0
    assert campaign.run() == 0
    campaign.check()


def test_the_dead_letter_folder_is_lost(campaign: Campaign, capsys: pytest.CaptureFixture[str]) -> None:
    def lose() -> None:
        shutil.rmtree(campaign.dead_letters, ignore_errors=True)
        campaign.dead_letters.write_text("a file where the folder was")
        campaign.produce(10, identityMap={})

    assert campaign.run_into(lose) == 2
    assert str(campaign.dead_letters) in said(capsys)
    assert campaign.committed == PROFILES
    campaign.dead_letters.unlink()
    assert campaign.run() == 0
    there, bad = campaign.there(), set(range(PROFILES, PROFILES + 10))
    assert there.keys() == set(range(campaign.made)) - bad
    assert there.total() - len(there) <= BUNDLE
    assert campaign.dead() == Counter(bad)


def test_the_dead_letter_topic_takes_nothing(campaign: Campaign, capsys: pytest.CaptureFixture[str]) -> None:
    topic = f"{campaign.topic}-dead"
    campaign.broker.create_topic(topic, 1, max_message_bytes=100)
    options = {"dead_letter_path": None, "dead_letter_topic": topic}
    assert campaign.run_into(lambda: campaign.produce(10, identityMap={}), **options) == 2
    assert topic in said(capsys)
    assert campaign.committed == PROFILES
    campaign.broker.create_topic_again(topic, 1)
    assert campaign.run(**options) == 0
    there, bad = campaign.there(), set(range(PROFILES, PROFILES + 10))
    assert there.keys() == set(range(campaign.made)) - bad
    assert there.total() - len(there) <= BUNDLE
    dead = [orjson.loads(message.value() or b"")["n"] for message in campaign.broker.consume_all(topic)]
    assert sorted(dead) == sorted(bad)


def said(capsys: pytest.CaptureFixture[str]) -> str:
    """Return what was printed, in one line."""
    shown = capsys.readouterr()
    return " ".join((shown.out + shown.err).split())
