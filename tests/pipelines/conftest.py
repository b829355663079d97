from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.pipelines.platform_bench import PlatformBench
from tests.services.emulator import CLIENT_SECRET, Emulator


@pytest.fixture(scope="session")
def platform_emulator() -> Iterator[Emulator]:
    with Emulator() as running:
        yield running


@pytest.fixture
def bench(platform_emulator: Emulator, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> PlatformBench:
    monkeypatch.setenv("EMULATOR_SECRET", CLIENT_SECRET)
    return PlatformBench(platform_emulator, tmp_path)
