from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from testing.services.certificates import Authority
from testing.services.pytest_support import require
from testing.services.toxiproxy import Proxy, Toxiproxy
from tests.e2e.conftest import own_scenario, scenario
from tests.e2e.scenario import Scenario
from tests.faults.campaign import through

__all__ = ["own_scenario", "scenario"]


@pytest.fixture(scope="session")
def toxiproxy() -> Iterator[Toxiproxy]:
    with require(Toxiproxy()) as running:
        yield running


@pytest.fixture
def proxy(toxiproxy: Toxiproxy, scenario: Scenario) -> Proxy:
    """A proxy between the pipeline and the scenario's emulator."""
    made = toxiproxy.proxy(scenario.emulator.url.partition("//")[2])
    through(scenario, f"http://{made.address}")
    return made


@pytest.fixture
def authority(tmp_path: Path) -> Authority:
    """The authority that the pipeline is to be told to trust."""
    return Authority(tmp_path)
