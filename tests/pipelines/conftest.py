from __future__ import annotations

from pathlib import Path

import pytest

from testing.services.emulator import CLIENT_SECRET, Emulator
from tests.pipelines.platform_bench import PlatformBench


@pytest.fixture
def bench(emulator: Emulator, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> PlatformBench:
    monkeypatch.setenv("EMULATOR_SECRET", CLIENT_SECRET)
    return PlatformBench(emulator, tmp_path)
