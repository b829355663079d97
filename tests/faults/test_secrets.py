"""No secret is in anything that a run leaves behind, at the most talkative, whether it ends well or not."""

from __future__ import annotations

import subprocess
import sys
import uuid
from pathlib import Path
from typing import Any

import pytest

from samples.loyalty import generate
from tests.e2e.scenario import ROOT, RUN_SECONDS, Finished, Scenario
from tests.faults.campaign import SMALL, ask_for_tokens, through
from tests.faults.front import Front

pytestmark = pytest.mark.kafka

# The pipeline as users run it, but for its level of logging, which is that of a person in search of a fault.
TALKATIVE = """
import logging, sys
import pipelines.runtime.run
from pipelines.kafka_to_aep import main

set_up = pipelines.runtime.run.set_up_logging

def talk(*given: object, **named: object) -> None:
    set_up(*given, **named)
    for name in [None, *logging.root.manager.loggerDict]:
        logging.getLogger(name).setLevel(logging.DEBUG)

pipelines.runtime.run.set_up_logging = talk
sys.exit(main())
"""


def run(scenario: Scenario, **options: Any) -> Finished:
    """Run at DEBUG."""
    (scenario.folder / "summary.json").unlink(missing_ok=True)
    (scenario.folder / "talkative.py").write_text(TALKATIVE)
    arguments = scenario.command(**options)[3:]  # without the interpreter, -m and the module
    done = subprocess.run(
        [sys.executable, str(scenario.folder / "talkative.py"), *arguments],
        cwd=ROOT,
        capture_output=True,
        text=True,
        timeout=RUN_SECONDS,
    )
    return Finished(done.returncode, done.stdout + done.stderr, scenario.summary())


def left_behind(folder: Path) -> str:
    """Return the content of all files that runs have written."""
    return "\n".join(path.read_text(errors="replace") for path in folder.rglob("*") if path.is_file())


def test_fault_21_no_secret_shows_in_logs_errors_dead_letters_or_summary(
    scenario: Scenario, monkeypatch: pytest.MonkeyPatch
) -> None:
    client_secret, password = f"client-{uuid.uuid4().hex}", f"password-{uuid.uuid4().hex}"
    monkeypatch.setenv("AEP_SECRET", client_secret)
    monkeypatch.setenv("KAFKA_PASSWORD", password)
    options = {
        **SMALL,
        **ask_for_tokens(scenario, f"client-{scenario.name}", client_secret),
        "kafka_config": {
            "sasl.username": "beam-aep",
            "sasl.password": "env:KAFKA_PASSWORD",
            "debug": "generic,broker,security,conf",
        },
    }
    scenario.produce(generate(1_000, broken_share=0.1))
    with Front(scenario.emulator.url) as front:
        through(scenario, front.url)
        scenario.emulator.faults(rate={"503": 0.2}, element_rate={"400": 0.02}, seed=21)
        outputs = [run(scenario, **options)]
        assert outputs[0].code == 0, outputs[0].output
        scenario.emulator.faults(rate={"401": 1.0})
        outputs.append(run(scenario, kafka_start="earliest", **options))
        assert outputs[1].code == 2, outputs[1].output
        monkeypatch.setenv("AEP_SECRET", f"{client_secret}-and-more")
        outputs.append(run(scenario, **options))
        assert outputs[2].code == 2, outputs[2].output
        outputs.append(scenario.run("--print_options", **options))
    talk = "\n".join(each.output for each in outputs)
    assert "DEBUG" in talk
    assert scenario.dead_lettered()
    tokens = {request.headers["authorization"].removeprefix("Bearer ") for request in front.requests}
    assert len(tokens) > 1
    everything = talk + left_behind(scenario.folder)
    assert "env:KAFKA_PASSWORD" in everything
    for secret in (client_secret, password, *tokens):
        assert secret not in everything
