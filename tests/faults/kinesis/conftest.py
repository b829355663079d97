from __future__ import annotations

from pathlib import Path

import pytest

from testing.services.kafka import KafkaBroker
from testing.services.kinesis import ACCESS_KEY_ID, SECRET_ACCESS_KEY, Kinesis
from tests.faults.kinesis.campaign import Campaign


@pytest.fixture
def campaign(broker: KafkaBroker, kinesis: Kinesis, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Campaign:
    """Profiles on a topic, to be put on a stream by this process."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("KINESIS_KEY", ACCESS_KEY_ID)
    monkeypatch.setenv("KINESIS_SECRET", SECRET_ACCESS_KEY)
    for name in ("AWS_ENDPOINT_URL", "AWS_ENDPOINT_URL_KINESIS"):
        monkeypatch.delenv(name, raising=False)
    return Campaign(broker, kinesis, tmp_path)
