from __future__ import annotations

from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pytest

from testing.services.emulator import Emulator
from testing.services.kafka import KafkaBroker
from tests.e2e.scenario import Scenario


@pytest.fixture
def scenario(broker: KafkaBroker, emulator: Emulator, tmp_path: Path) -> Iterator[Scenario]:
    with closing(Scenario(broker, emulator, tmp_path)) as made:
        yield made


@pytest.fixture
def own_scenario(own_broker: KafkaBroker, emulator: Emulator, tmp_path: Path) -> Iterator[Scenario]:
    """A scenario whose broker may be stopped, killed and frozen."""
    with closing(Scenario(own_broker, emulator, tmp_path)) as made:
        yield made
