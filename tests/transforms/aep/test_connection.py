"""The connection of a pipeline to AEP, as it is checked before a run."""

from __future__ import annotations

import logging
from collections.abc import Callable

import pytest

from aep.errors import AuthenticationError, RetryBudgetError, StoppedError, TokenError
from aep.ingestion.decision import RetryPolicy
from testing.defaults import by_default
from transforms.aep.connection import await_token
from transforms.worker import process

AWAY = TokenError("IMS: no connection to ims.test")


class Ims:
    """Raises the errors of a script, then has a token."""

    def __init__(self, *script: Exception):
        self.script = list(script)
        self.asked = 0

    def token(self) -> str:
        self.asked += 1
        if self.script:
            raise self.script.pop(0)
        return "token"

    def reject(self, _: str) -> bool:
        return True

    def take_renewals(self) -> int:
        return 0


class Waits:
    """Time that passes as it is waited for, and what is said of the process meanwhile."""

    def __init__(self, stop: bool = False):
        self.seconds = 0.0
        self.said: list[str] = []
        self._stop = stop

    def __call__(self, seconds: float) -> bool:
        self.seconds += max(seconds, 1.0)
        self.said.append(process.held_up)
        return self._stop


def wait_for_token(ims: Ims, waits: Waits, budget: float | None = None) -> None:
    policy = by_default(RetryPolicy, budget_seconds=budget)
    clock: Callable[[], float] = lambda: waits.seconds  # noqa: E731
    await_token(ims, policy, clock, waits)


def test_while_ims_is_away_a_run_waits_and_says_so_once_a_minute(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO)
    ims, waits = Ims(*[AWAY] * 200), Waits()
    wait_for_token(ims, waits)
    assert ims.asked == 201
    assert set(waits.said) == {"no token: IMS: no connection to ims.test"}
    assert process.held_up == ""
    warnings = [one.message for one in caplog.records if one.levelname == "WARNING"]
    advice = "waiting until there is one. If this goes on, check aep_ims_url and the network"
    assert set(warnings) == {f"no token: IMS: no connection to ims.test; {advice}"}
    assert 2 <= len(warnings) <= waits.seconds / 60 + 1
    assert caplog.records[-1].message.startswith("there is a token again, after ")


def test_what_ims_refuses_is_not_waited_for() -> None:
    ims, waits = Ims(AWAY, AuthenticationError("IMS refuses the client")), Waits()
    with pytest.raises(AuthenticationError):
        wait_for_token(ims, waits)
    assert ims.asked == 2
    assert process.held_up == ""


def test_nor_what_takes_longer_than_the_budget() -> None:
    waits = Waits()
    with pytest.raises(RetryBudgetError, match=r"^no token: .*aep_retry_budget_seconds.*check aep_ims_url"):
        wait_for_token(Ims(*[AWAY] * 1000), waits, budget=30.0)
    assert waits.seconds <= 31


def test_a_process_that_is_to_end_waits_no_longer() -> None:
    ims = Ims(*[AWAY] * 10)
    with pytest.raises(StoppedError, match="no token"):
        wait_for_token(ims, Waits(stop=True))
    assert ims.asked == 1
