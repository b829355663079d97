"""Workers in the background of the server."""

from __future__ import annotations

import asyncio

import pytest

from emulator.state.background import running


class Failing:
    async def run(self) -> None:
        raise ValueError("out of order")


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
