"""What a person has to mend stops a run before or at its start: one clear message, exit code 2, nothing committed."""

from __future__ import annotations

import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml

from samples.loyalty import generate
from testing.services.emulator import CLIENT_ID, Emulator
from testing.services.kafka import KafkaBroker
from testing.services.process import free_port
from tests.e2e.scenario import ORG_ID, ROOT, RUN_SECONDS, SCHEMAS, Finished, Scenario

pytestmark = pytest.mark.kafka


def refuse(scenario: Scenario, *expected: str, **options: Any) -> None:
    """Run and expects exit code 2 with one message that has all the expected words."""
    finished = scenario.run(**options)
    assert finished.code == 2, finished.output
    error = finished.output[finished.output.index("error:") :]
    for words in expected:
        assert words in error, finished.output
    assert "Traceback" not in finished.output
    assert scenario.records_committed() == 0


def test_an_unknown_option(scenario: Scenario) -> None:
    refuse(scenario, "options.yaml:", "kafka_topic_names", kafka_topic_names=["a"])


def test_no_broker(scenario: Scenario) -> None:
    address = f"127.0.0.1:{free_port()}"
    refuse(scenario, address, "kafka_bootstrap_servers", kafka_bootstrap_servers=address)


def test_an_unknown_topic(scenario: Scenario) -> None:
    routes = yaml.safe_load(scenario.routes_file().read_text())
    routes["routes"][0]["topics"] = ["no-such-topic"]
    path = scenario.folder / "other-routes.yaml"
    path.write_text(yaml.safe_dump(routes))
    refuse(scenario, "no-such-topic", scenario.broker.bootstrap_servers, routes_file=str(path))


@pytest.mark.parametrize(
    ("content", "expected"),
    [
        ("not json", "JSON"),
        ('{"$id": "https://ns.adobe.com/acme/schemas/a", "allOf": [{"$ref": "https://ns.adobe.com/x"}]}', "xed-full"),
        (None, "cannot read"),
    ],
)
def test_a_schema_file_that_is_no_resolved_schema(scenario: Scenario, content: str | None, expected: str) -> None:
    path = scenario.folder / "schema.json"
    if content is not None:
        path.write_text(content)
    routes = scenario.routes_file(schema_file=str(path))
    other = routes.rename(scenario.folder / "other-routes.yaml")
    refuse(scenario, str(path), expected, routes_file=str(other))


def test_an_inlet_that_does_not_exist(scenario: Scenario) -> None:
    scenario.produce(generate(100))
    url = f"{scenario.emulator.url}/collection/{'0' * 64}"
    other = scenario.routes_file(inlet_url=url).rename(scenario.folder / "other-routes.yaml")
    refuse(scenario, "404", "aep_inlet_url", "0" * 64, routes_file=str(other))


def test_an_inlet_that_wants_authentication(scenario: Scenario) -> None:
    scenario.produce(generate(100))
    inlet = scenario.emulator.create_inlet(
        name=f"{scenario.name}-auth",
        org_id=ORG_ID,
        authentication_required=True,
        schema=yaml.safe_load((SCHEMAS / "loyalty-event.schema.json").read_text()),
    )
    other = scenario.routes_file(inlet_url=inlet["inletUrl"]).rename(scenario.folder / "other-routes.yaml")
    refuse(scenario, "401", "aep_auth", routes_file=str(other))


def test_a_token_refused(scenario: Scenario, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("WRONG_SECRET", "a-wrong-secret")
    other = scenario.routes_file(auth="oauth").rename(scenario.folder / "other-routes.yaml")
    options = {
        "aep_ims_url": scenario.emulator.url,
        "aep_client_id": CLIENT_ID,
        "aep_client_secret": "env:WRONG_SECRET",
    }
    refuse(scenario, "invalid_client", "aep_client_secret", routes_file=str(other), **options)
    assert "a-wrong-secret" not in scenario.run(routes_file=str(other), **options).output


def test_a_dead_letter_folder_that_cannot_be_written(scenario: Scenario, tmp_path: Path) -> None:
    (tmp_path / "a-file").write_text("")
    folder = str(tmp_path / "a-file" / "dead-letters")
    refuse(scenario, folder, "dead_letter_path", dead_letter_path=folder)


def test_a_dead_letter_topic_that_does_not_exist(scenario: Scenario) -> None:
    refuse(scenario, "no-such-dead", "dead_letter_topic", dead_letter_topic="no-such-dead")


def test_state_mode_on_a_runner_that_loses_state(scenario: Scenario) -> None:
    refuse(scenario, "batch_mode", "bundle", batch_mode="state")


class TestATopicWithTheSchemaOfAnother:
    """The events topic with the profiles' schema."""

    @pytest.fixture
    def wrong(self, broker: KafkaBroker, emulator: Emulator, tmp_path: Path) -> Iterator[Scenario]:
        scenario = Scenario(broker, emulator, tmp_path, partitions=1)
        scenario.produce(generate(600, kind="events"))
        yield scenario
        emulator.clear_faults()

    def run(self, wrong: Scenario, *arguments: str, **options: Any) -> Finished:
        events, profiles = (wrong.routes()[kind] for kind in ("events", "profiles"))
        path = wrong.write_routes({"events": {**events, "schema_file": profiles["schema_file"]}}, "wrong-routes.yaml")
        return wrong.run(*arguments, routes_file=str(path), **options)

    def test_stops_the_run_and_nothing_of_the_bundle_is_committed(self, wrong: Scenario) -> None:
        finished = self.run(wrong)
        assert finished.code == 2, finished.output
        assert re.search(r"error: route events: the first 5\d\d records were all refused and none p", finished.output)
        for words in ("(stage validate, ", "beam-aep check", "dead_letter_max_first=null", "Nothing of the bundle"):
            assert words in finished.output
        assert "Traceback" not in finished.output
        assert (wrong.records_committed(), wrong.dead_lettered()) == (0, [])

    def test_earlier_bundles_are_committed_with_their_dead_letters(self, wrong: Scenario) -> None:
        finished = self.run(wrong, kafka_bundle_max_records=200)
        assert finished.code == 2, finished.output
        assert wrong.records_committed() == len(wrong.dead_lettered()) == 400

    def test_without_the_limit_all_are_dead_lettered_and_again_by_a_replay(self, wrong: Scenario) -> None:
        finished = self.run(wrong, "--dead_letter_max_first=null")
        assert (finished.code, finished.summary["accepted"]) == (0, 0), finished.output
        assert len(wrong.dead_lettered()) == wrong.records_committed() == 600
        last = finished.output.strip().splitlines()[-1]
        assert last.startswith("no record got through by route events (600 dead-lettered): do the topic, ")
        options = str(wrong.folder / "options.yaml")
        again = subprocess.run(
            [sys.executable, "-m", "pipelines.replay_dead_letters", "--options_file", options],
            cwd=ROOT,
            capture_output=True,
            text=True,
            timeout=RUN_SECONDS,
            check=False,
        )
        assert again.returncode == 0, again.stderr
        assert again.stderr.strip().splitlines()[-1] == last
        assert len(wrong.dead_lettered()) == 600

    def test_fewer_than_the_limit_are_dead_lettered_and_the_last_line_says_so(self, wrong: Scenario) -> None:
        finished = self.run(wrong, dead_letter_max_first=601)
        assert finished.code == 0, finished.output
        assert "by route events (600 dead-lettered)" in finished.output.strip().splitlines()[-1]

    def test_a_topic_that_changes_stops_the_run_where_a_share_is_given(self, scenario: Scenario) -> None:
        good = list(generate(1_500, kind="events"))
        scenario.produce(good)
        scenario.broker.produce(scenario.topics["events"], [(b"k", b"{}", None, 0)] * 1_200)
        finished = scenario.run(dead_letter_max_share=0.5)
        assert finished.code == 2, finished.output
        assert " records were refused, most often for required" in finished.output
        assert "dead_letter_max_share" in finished.output
