"""What the tests of the fault campaign share, beside the scenario and its oracle."""

from __future__ import annotations

import re
import time
from collections.abc import Iterator
from typing import Any

from testing.services.process import PATIENCE_SECONDS, ServiceProcess, wait_for
from tests.e2e.scenario import ORG_ID, RUN_SECONDS, Scenario

STEP_SECONDS = PATIENCE_SECONDS
# Small batches make many requests, each of which may meet the fault; a bundle soon ends when the topic is read.
SMALL = {"batch_max_messages": 100, "batch_max_seconds": 0.3, "aep_retry_max_delay_seconds": 0.5}
ENDLESS = {**SMALL, "kafka_stop_at": "never"}


def through(scenario: Scenario, url: str) -> None:
    """Make the pipeline post to its inlets by way of `SCHEME://HOST:PORT`."""
    for inlet in scenario.inlets.values():
        inlet["inletUrl"] = re.sub(r"^\w+://[^/]+", url, inlet["inletUrl"])


def ask_for_tokens(scenario: Scenario, client_id: str, client_secret: str) -> dict[str, Any]:
    """Give the scenario inlets that ask for a token, and a client; return the options, with the secret in AEP_SECRET.

    The variable is for the test to set.
    """
    scenario.emulator.local("POST", "clients", {"client_id": client_id, "client_secret": client_secret})
    for kind in scenario.topics:
        scenario.inlets[kind] = scenario.emulator.create_inlet(
            name=f"{scenario.name}-{kind}-oauth", org_id=ORG_ID, authentication_required=True
        )
    return {
        "aep_auth": "oauth",
        "aep_ims_url": scenario.emulator.url,
        "aep_client_id": client_id,
        "aep_client_secret": "env:AEP_SECRET",
    }


def during(seconds: float) -> Iterator[float]:
    """Yield again and again while a fault lasts, for what must hold meanwhile."""
    started = time.monotonic()
    while (passed := time.monotonic() - started) < seconds:
        yield passed
        time.sleep(0.1)


def finish(scenario: Scenario, pipeline: ServiceProcess, code: int = 0) -> dict[str, Any]:
    """Wait for the end of a run; return its summary."""
    wait_for(lambda: not pipeline.running, RUN_SECONDS, "the pipeline to end")
    assert pipeline.exit_code == code, pipeline.log_tail()
    summary = scenario.summary()
    if code == 0:
        assert summary["unaccounted"] == 0
    return summary


def deliver(scenario: Scenario, duplicates: int = 0, **options: Any) -> dict[str, Any]:
    """Run to the topics' ends; every sample must be where the oracle wants it. Returns the summary."""
    finished = scenario.run(**{**SMALL, **options})
    assert finished.code == 0, finished.output
    assert finished.summary["unaccounted"] == 0
    scenario.check_every_sample(duplicates)
    return finished.summary


def wait_until_all_committed(scenario: Scenario) -> None:
    """Return when the group's offsets are at the ends of the topics: all that was produced is accounted for."""
    wait_for(lambda: scenario.records_committed() == produced(scenario), STEP_SECONDS, "the offsets to be committed")


def produced(scenario: Scenario) -> int:
    """Return how many records the topics hold."""
    return sum(offset for partitions in scenario.end_offsets().values() for offset in partitions.values())


def requests(scenario: Scenario) -> int:
    """Return how many requests the inlets have answered, refused or dropped."""
    return sum(scenario.emulator.inlet_stats(inlet["inletId"])["requests"] for inlet in scenario.inlets.values())


def refused(scenario: Scenario) -> int:
    """Return how many messages AEP has refused for good."""
    return sum(scenario.emulator.inlet_stats(inlet["inletId"])["rejected"] for inlet in scenario.inlets.values())


def nothing_happened(scenario: Scenario) -> bool:
    """Return whether no sample was accepted or dead-lettered, and no offset committed."""
    return not (scenario.messages_accepted() or scenario.dead_lettered() or scenario.records_committed())
