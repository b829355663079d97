"""Workers in the background of the server."""

from __future__ import annotations

import asyncio
import sqlite3

import pytest

from emulator.state.background import running
from testing.services.process import PATIENCE_SECONDS


class Failing:
    async def run(self) -> None:
        raise ValueError("out of order")


class FailingOnce:
    def __init__(self, error: Exception) -> None:
        self._error = error
        self.begun = 0

    async def run(self) -> None:
        self.begun += 1
        if self.begun == 1:
            raise self._error
        await asyncio.Event().wait()


class Waiting:
    def __init__(self) -> None:
        self.ended = False

    async def run(self) -> None:
        try:
            await asyncio.Event().wait()
        finally:
            self.ended = True


def test_a_worker_that_fails_is_reported_and_the_others_go_on(caplog: pytest.LogCaptureFixture) -> None:
    other = Waiting()

    async def serve() -> None:
        async with running(Failing(), other):
            while not caplog.records:
                await asyncio.sleep(0)
            assert not other.ended

    asyncio.run(serve())
    assert other.ended
    assert "out of order" in caplog.text


@pytest.mark.parametrize("error", [ValueError("out of order"), sqlite3.OperationalError("disk is full")])
def test_a_worker_that_fails_begins_again(
    error: Exception, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("emulator.state.background.FIRST_PAUSE_S", 0)
    worker = FailingOnce(error)

    async def serve() -> None:
        async with running(worker):
            while worker.begun < 2:
                await asyncio.sleep(0)

    asyncio.run(asyncio.wait_for(serve(), PATIENCE_SECONDS))
    (record,) = caplog.records
    assert str(error) in caplog.text
    assert (record.exc_info is None) is isinstance(error, sqlite3.Error)  # what a full disk does needs no traceback
