from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.e2e.scenario import Scenario
from tests.services.emulator import Emulator
from tests.services.kafka import KafkaBroker
from tests.services.pytest_support import require


@pytest.fixture(scope="session")
def broker() -> Iterator[KafkaBroker]:
    with require(KafkaBroker()) as running:
        yield running


@pytest.fixture(scope="session")
def emulator() -> Iterator[Emulator]:
    with Emulator() as running:
        yield running


@pytest.fixture
def scenario(broker: KafkaBroker, emulator: Emulator, tmp_path: Path) -> Iterator[Scenario]:
    yield Scenario(broker, emulator, tmp_path)
    emulator.clear_faults()
