"""What tests that read the local Kinesis begin with."""

from __future__ import annotations

import pytest

from testing.services.kinesis import ACCESS_KEY_ID, SECRET_ACCESS_KEY, Kinesis


@pytest.fixture
def quick_kinesis(kinesis: Kinesis, monkeypatch: pytest.MonkeyPatch) -> Kinesis:
    """The local Kinesis without limits, whose reshards take no time; AWS's own chain finds credentials for it."""
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", ACCESS_KEY_ID)
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", SECRET_ACCESS_KEY)
    kinesis.switch(reshard_seconds=0, limits=False)
    return kinesis
