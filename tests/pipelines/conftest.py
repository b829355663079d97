from __future__ import annotations

from pathlib import Path

import pytest

from tests.pipelines.platform_bench import PlatformBench
from tests.services.emulator import CLIENT_SECRET, Emulator


@pytest.fixture
def bench(emulator: Emulator, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> PlatformBench:
    monkeypatch.setenv("EMULATOR_SECRET", CLIENT_SECRET)
    return PlatformBench(emulator, tmp_path)
