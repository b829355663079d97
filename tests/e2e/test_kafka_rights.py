"""Brokers as companies set them up: users without a right, tokens to log in with, addresses out of reach."""

from __future__ import annotations

import subprocess
import sys
import threading
import time
from base64 import urlsafe_b64encode
from collections.abc import Iterator
from contextlib import closing
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from itertools import count
from pathlib import Path

import orjson
import pytest
from confluent_kafka.admin import AclOperation as Operation
from confluent_kafka.admin import ResourceType as Kind

from samples.loyalty import generate
from testing.services.emulator import Emulator
from testing.services.process import PATIENCE_SECONDS, wait_for
from testing.services.pytest_support import require
from testing.services.secured_kafka import PASSWORD, SecuredKafka
from testing.services.sharing import SharedServices
from tests.e2e.scenario import ROOT, Finished, Scenario
from transforms.kafka import auth
from transforms.kafka.client import KafkaCluster, KafkaSetupError
from transforms.kafka.sample import read_newest
from transforms.kafka.send import check_writable, send_all
from transforms.kafka.start import resolve_start

pytestmark = pytest.mark.kafka

USERS = [f"user{number}" for number in range(30)]
_next_user = count()


@pytest.fixture(scope="module")
def secured(shared_services: SharedServices) -> Iterator[SecuredKafka]:
    with shared_services.one_at_a_time("own_broker"), require(SecuredKafka(USERS)) as running:
        assert isinstance(running, SecuredKafka)
        yield running


@pytest.fixture
def user() -> str:
    """A user that no other test has given rights to."""
    return USERS[next(_next_user)]


@pytest.fixture
def scenario(
    secured: SecuredKafka, emulator: Emulator, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> Iterator[Scenario]:
    monkeypatch.setenv("KAFKA_PASSWORD", PASSWORD)
    with closing(Scenario(secured, emulator, tmp_path)) as made:
        yield made


def allow(scenario: Scenario, secured: SecuredKafka, user: str, *, but: str = "", also: tuple[str, ...] = ()) -> None:
    """Give a user all rights that the scenario takes but for one, and those to further topics."""
    for kind, topic in scenario.topics.items():
        secured.allow(user, Operation.DESCRIBE if but == kind else Operation.READ, Kind.TOPIC, topic)
    if but != "group":
        secured.allow(user, Operation.READ, Kind.GROUP, scenario.group)
    for topic in also:
        secured.allow(user, Operation.DESCRIBE if but == "write" else Operation.WRITE, Kind.TOPIC, topic)


def check(scenario: Scenario, **options: object) -> Finished:
    """`beam-aep check` with the options of a run."""
    command = [sys.executable, "-m", "pipelines.cli", "check", *scenario.command(**options)[3:]]
    environment = {"COLUMNS": "1000", "KAFKA_PASSWORD": PASSWORD, "PATH": "/usr/bin:/bin"}
    done = subprocess.run(command, cwd=ROOT, env=environment, capture_output=True, text=True, timeout=PATIENCE_SECONDS)
    return Finished(done.returncode, done.stdout + done.stderr, {})


def refused(scenario: Scenario, words: str, **options: object) -> None:
    """A run ends with exit code 2 and these words, and `check` finds the same, before anything is read."""
    run = scenario.run(**options)
    assert (run.code, words in run.output) == (2, True), run.output
    looked = check(scenario, **options)
    assert (looked.code, words in looked.output) == (1, True), looked.output
    for output in (run.output, looked.output):
        assert "Traceback" not in output
        assert PASSWORD not in output
    assert scenario.records_committed() == 0


def test_no_right_to_a_topic_is_not_called_a_missing_topic(
    scenario: Scenario, secured: SecuredKafka, user: str
) -> None:
    topic = scenario.topics["events"]
    words = f"topic {topic} on {secured.sasl_servers}: Broker: Topic authorization failed; the user needs the right"
    refused(scenario, words, **secured.options(user))


def test_a_missing_right_to_read_a_topic_is_named(scenario: Scenario, secured: SecuredKafka, user: str) -> None:
    allow(scenario, secured, user, but="profiles")
    scenario.produce(generate(10))
    words = f"the user needs the right READ on topic {scenario.topics['profiles']}"
    refused(scenario, words, **secured.options(user))


def test_a_missing_right_on_the_group_is_named(scenario: Scenario, secured: SecuredKafka, user: str) -> None:
    allow(scenario, secured, user, but="group")
    scenario.produce(generate(10))
    words = f"Group authorization failed.; the user needs the right READ on group {scenario.group}"
    refused(scenario, words, **secured.options(user))
    # Where no committed offsets are asked for, the group says so as it is joined.
    run = scenario.run(**secured.options(user), kafka_start="earliest")
    assert (run.code, words in run.output) == (2, True), run.output


@pytest.mark.parametrize("sink", ["dead_letter_topic", "receipt_topic"])
def test_a_missing_right_to_write_is_named_before_anything_is_read(
    scenario: Scenario, secured: SecuredKafka, user: str, sink: str
) -> None:
    topic = f"{scenario.name}-written"
    secured.create_topic(topic)
    allow(scenario, secured, user, but="write", also=(topic,))
    scenario.produce(generate(10))
    refused(scenario, f"the user needs the right WRITE on topic {topic}", **secured.options(user), **{sink: topic})


@pytest.mark.parametrize("sink", ["dead_letter_topic", "receipt_topic"])
def test_a_right_to_write_that_is_taken_away_ends_the_run_and_names_the_topic(
    scenario: Scenario, secured: SecuredKafka, user: str, sink: str
) -> None:
    topic = f"{scenario.name}-written"
    secured.create_topic(topic)
    allow(scenario, secured, user, also=(topic,))
    running = scenario.start(
        **secured.options(user),
        kafka_stop_at="never",
        dead_letter_path=None,
        **{"dead_letter_topic": topic, sink: topic},
    )
    # Without the right to write to any topic the producer gets no id: a fatal error, where it is made as it is needed.
    wait_for(lambda: "this process now reads" in running.log() or not running.running, PATIENCE_SECONDS, "the run")
    secured.deny(user, Operation.WRITE, Kind.TOPIC, topic)
    secured.allow(user, Operation.DESCRIBE, Kind.TOPIC, topic)
    scenario.produce(generate(10, broken_share=0.5))
    wait_for(lambda: not running.running, PATIENCE_SECONDS, "the end of the run")
    assert running.exit_code == 2, running.log()
    assert f"error: topic {topic} on {secured.sasl_servers} rejects a message: " in running.log()
    assert f"the user needs the right WRITE on topic {topic}" in running.log()
    assert "Traceback" not in running.log()


def test_a_fatal_error_of_a_producer_names_the_topic_each_time(
    secured: SecuredKafka, user: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("KAFKA_PASSWORD", PASSWORD)
    topic = f"fatal-{user}"
    secured.create_topic(topic)
    secured.allow(user, Operation.DESCRIBE, Kind.TOPIC, topic)
    cluster = KafkaCluster(secured.sasl_servers, secured.options(user)["kafka_config"])  # type: ignore[arg-type]
    words = f"topic {topic} .*Cluster authorization failed; the user needs the right WRITE on topic {topic}, and with"
    for messages in (1, 1, 20_000):
        with pytest.raises(KafkaSetupError, match=words):
            send_all(cluster, topic, [(None, b"x", ())] * messages)
    secured.allow(user, Operation.WRITE, Kind.TOPIC, topic)
    send_all(cluster, topic, [(None, b"x", ())])
    assert secured.end_offsets(topic) == {0: 1}


def test_a_topic_that_a_pattern_takes_in_and_may_not_be_read_is_left_out_and_said_once(
    scenario: Scenario, secured: SecuredKafka, user: str
) -> None:
    allow(scenario, secured, user)
    hidden, later = f"{scenario.name}-hidden", f"{scenario.name}-later"
    for topic in (hidden, later):
        secured.allow(user, Operation.DESCRIBE, Kind.TOPIC, topic)
    secured.create_topic(hidden, 3)
    secured.produce(hidden, [(None, b"{}", None, None)] * 10)
    scenario.produce(generate(10))
    routes = scenario.routes()
    routes["events"]["topics"] = [f"^{scenario.name}-(?!profiles)"]
    options = {**secured.options(user), "routes_file": str(scenario.write_routes(routes, "pattern.yaml"))}
    looked = check(scenario, **options)
    assert looked.code == 0, looked.output
    assert f"the user needs the right READ on topic {hidden}" in looked.output
    finished = scenario.run(**options)
    assert finished.code == 0, finished.output
    assert finished.output.count(hidden) == 2, finished.output  # in one line: which topic, and which right it takes
    assert scenario.check_every_sample() == 0
    # Of a topic that comes later it is heard as it is read.
    running = scenario.start(**options, kafka_stop_at="never", kafka_discovery_seconds=1)
    wait_for(lambda: "this process now reads" in running.log(), PATIENCE_SECONDS, "the run")
    secured.create_topic(later, 3)
    secured.produce(later, [(None, b"{}", None, None)] * 10)
    wait_for(
        lambda: f"the user needs the right READ on topic {later}" in running.log(), PATIENCE_SECONDS, "the warning"
    )
    scenario.produce(list(generate(20))[10:])
    scenario.wait_until_accepted(20)
    assert running.running
    assert running.log().count(f"topic {later} is not read") == 1


def test_an_advertised_listener_that_cannot_be_resolved_is_named(scenario: Scenario, secured: SecuredKafka) -> None:
    scenario.produce(generate(10))
    words = f"gives its address as {secured.hidden_name}:{secured.hidden_servers.partition(':')[2]}"
    refused(scenario, words, kafka_bootstrap_servers=secured.hidden_servers)
    cluster = KafkaCluster(secured.hidden_servers, {"delivery.timeout.ms": "3000"})
    with pytest.raises(KafkaSetupError, match=f"topic {scenario.topics['events']} .*{words}.*Failed to resolve"):
        send_all(cluster, scenario.topics["events"], [(None, b"x", ())])


def token_of(user: str) -> str:
    """Return a token that names the user, unsigned and valid for an hour."""

    def part(content: dict[str, object]) -> str:
        return urlsafe_b64encode(orjson.dumps(content)).decode().rstrip("=")

    now = int(time.time())
    return f"{part({'alg': 'none'})}.{part({'sub': user, 'iat': now, 'exp': now + 3600})}."


def test_tokens_of_a_callback_log_in_consumers_admin_clients_and_producers(
    scenario: Scenario, secured: SecuredKafka, user: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Amazon's brokers alone check its tokens, so another one stands for it here; the rest is as with Amazon."""
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "AKIDEXAMPLE")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "example")
    monkeypatch.setenv("AWS_REGION", "eu-west-1")
    asked: list[str | None] = []

    def token(region: str | None, _: str = "") -> tuple[str, float]:
        asked.append(region)
        return token_of(user), time.time() + 3600

    monkeypatch.setattr(auth, "msk_token", token)
    allow(scenario, secured, user, also=(scenario.topics["events"],))
    cluster = KafkaCluster(
        secured.oauth_servers, {"security.protocol": "SASL_PLAINTEXT", "sasl.mechanism": "AWS_MSK_IAM"}
    )
    topic = scenario.topics["events"]
    check_writable(cluster, topic, "dead_letter_topic")
    send_all(cluster, topic, [(None, b"1", ())] * 10)
    start = resolve_start(cluster, [topic], scenario.group, "committed", "earliest", stop_at_end=True)
    assert sum((start.ends or {}).values()) == 10
    assert [len(one.records) for one in read_newest(cluster, scenario.group, topic, [0, 1, 2, 3], 10)]
    assert len(asked) > 5  # one each to see that there is one, and one each to log in
    with pytest.raises(KafkaSetupError, match="needs the right WRITE"):
        check_writable(cluster, scenario.topics["profiles"], "dead_letter_topic")


def test_tokens_of_an_oidc_provider_log_in_a_run(
    scenario: Scenario, secured: SecuredKafka, user: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    class Provider(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            body = orjson.dumps({"access_token": token_of(user), "token_type": "bearer", "expires_in": 3600})
            self.send_response(200)
            self.send_header("Content-Type", "application/json")
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *_: object) -> None:
            """Not in the output of the tests."""

    provider = ThreadingHTTPServer(("127.0.0.1", 0), Provider)
    threading.Thread(target=provider.serve_forever, daemon=True).start()
    monkeypatch.setenv("OIDC_SECRET", PASSWORD)
    allow(scenario, secured, user)
    scenario.produce(generate(20, broken_share=0.2))
    config = {
        "security.protocol": "SASL_PLAINTEXT",
        "sasl.mechanism": "OAUTHBEARER",
        "sasl.oauthbearer.method": "oidc",
        "sasl.oauthbearer.client.id": "beam-aep",
        "sasl.oauthbearer.client.secret": "env:OIDC_SECRET",
        "sasl.oauthbearer.token.endpoint.url": f"http://127.0.0.1:{provider.server_port}/token",
    }
    try:
        finished = scenario.run(kafka_bootstrap_servers=secured.oauth_servers, kafka_config=config)
    finally:
        provider.shutdown()
        provider.server_close()
    assert finished.code == 0, finished.output
    assert scenario.check_every_sample() == 0
    assert PASSWORD not in finished.output
