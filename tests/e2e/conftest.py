from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.e2e.scenario import Scenario
from tests.services.emulator import Emulator
from tests.services.kafka import KafkaBroker


@pytest.fixture
def scenario(broker: KafkaBroker, emulator: Emulator, tmp_path: Path) -> Iterator[Scenario]:
    yield Scenario(broker, emulator, tmp_path)
    emulator.clear_faults()


@pytest.fixture
def own_scenario(own_broker: KafkaBroker, emulator: Emulator, tmp_path: Path) -> Iterator[Scenario]:
    """A scenario whose broker may be stopped, killed and frozen."""
    yield Scenario(own_broker, emulator, tmp_path)
    emulator.clear_faults()
