"""The same pipeline on Prism, Beam's portable runner for one machine."""

from __future__ import annotations

import signal
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from samples.loyalty import generate
from testing.services import downloads
from testing.services.emulator import Emulator
from testing.services.kafka import KafkaBroker
from testing.services.process import PATIENCE_SECONDS, wait_for
from testing.services.pytest_support import require
from tests.e2e.scenario import ROOT, Scenario

pytestmark = [pytest.mark.kafka, pytest.mark.slow]  # slow: Go builds Prism for a minute or more, once


@contextmanager
def _built() -> Iterator[Path]:
    yield downloads.prism()


@pytest.fixture(scope="module")
def prism() -> Iterator[Path]:
    """The program."""
    with require(_built()) as program:
        yield program


def test_the_same_options_with_one_overlay_give_the_same_account_as_on_fn_api_runner(
    broker: KafkaBroker, emulator: Emulator, prism: Path, tmp_path: Path
) -> None:
    samples = list(generate(20_000, broken_share=0.02))
    overlays = {
        "FnApiRunner": ["--runner=FnApiRunner"],
        "PrismRunner": [f"--options_file={ROOT / 'configs' / 'prism.yaml'}", f"--prism_location={prism}"],
    }
    accounts: dict[str, dict[str, Any]] = {}
    for runner, overlay in overlays.items():
        folder = tmp_path / runner
        folder.mkdir()
        scenario = Scenario(broker, emulator, folder)
        scenario.produce(samples)
        finished = scenario.run(*overlay)
        assert finished.code == 0, finished.output
        assert scenario.check_every_sample() == 0
        assert scenario.committed() == scenario.end_offsets()
        accounts[runner] = _counts(finished.summary)
    assert accounts["FnApiRunner"]["accepted"] > 19_000
    assert accounts["PrismRunner"] == accounts["FnApiRunner"]


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_a_signal_ends_a_run_on_prism_in_good_order(scenario: Scenario, prism: Path, number: signal.Signals) -> None:
    """As a terminal and systemd send it: to all processes of the group."""
    scenario.produce(generate(5_000, broken_share=0.02))
    overlay = [f"--options_file={ROOT / 'configs' / 'prism.yaml'}", f"--prism_location={prism}"]
    first = scenario.start(*overlay, "--kafka_stop_at=never")
    wait_for(scenario.messages_accepted, PATIENCE_SECONDS, "accepted messages")
    first.signal(number)
    wait_for(lambda: not first.running, PATIENCE_SECONDS, "its end")
    assert first.exit_code == 0, first.log()
    summary = scenario.summary()
    assert (summary["outcome"], summary["unaccounted"]) == ("stopped", 0)
    second = scenario.run(*overlay)
    assert second.code == 0, second.output
    assert scenario.check_every_sample() == 0  # and nothing twice
    assert scenario.committed() == scenario.end_offsets()


def _counts(summary: dict[str, Any]) -> dict[str, Any]:
    """Return what does not depend on time: what became of the records, not how fast or in how many requests."""
    timed = {"seconds", "latency_milliseconds", "requests", "request_bytes"}
    counts = {name: value for name, value in summary.items() if name not in timed}
    return {**counts, "records_timed": summary["latency_milliseconds"]["records"]}
