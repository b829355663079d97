"""The demo of profiles out to Kinesis, as users start it, and its account."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from demo.kinesis.changes import Change, count, differences, expected, exported, member_of, rounds
from testing.services.process import PATIENCE_SECONDS

ROOT = Path(__file__).parents[2]
MEMBERS = 40


def line(number: int, profile: dict[str, Any], status: str) -> dict[str, Any]:
    exported_profile = {**profile, "segmentMembership": {"ups": {"gold": {"status": status}}}}
    return {"sequence_number": str(number), "profile": exported_profile}


def test_every_change_of_a_profile_is_accounted_for(tmp_path: Path) -> None:
    finished = subprocess.run(
        [sys.executable, "-m", "demo.kinesis", "--members", str(MEMBERS)],
        cwd=tmp_path,
        env={**os.environ, "PYTHONPATH": str(ROOT)},
        capture_output=True,
        text=True,
        timeout=PATIENCE_SECONDS,
        check=False,
    )
    output = finished.stdout + finished.stderr
    assert finished.returncode == 0, output
    assert f"every one of {2 * MEMBERS} changes of {MEMBERS} profiles is accounted for" in output
    wanted = count(expected(rounds(MEMBERS)))
    assert all(wanted[change] for change in ("entered", "left", "changed", "outside"))
    rows = {cells[1].strip(): cells[2:4] for row in output.splitlines() if len(cells := row.split("│")) == 5}
    assert [int(cell) for cell in rows["entered the audience"]] == [wanted["entered"]] * 2
    assert [int(cell) for cell in rows["left it"]] == [wanted["left"]] * 2
    assert int(rows["written outside it: not exported"][1]) == 0
    # One that enters and leaves is shown.
    assert "aep.membership: entered" in output
    assert "aep.membership: left" in output


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGHUP])
def test_a_signal_ends_all_of_it(tmp_path: Path, number: signal.Signals) -> None:
    """Also what it runs at that time, whose AEP is gone then: it would try to reach that for ever."""
    process = subprocess.Popen(
        [sys.executable, "-u", "-m", "demo.kinesis", "--members", "1"],
        cwd=tmp_path,
        env={**os.environ, "PYTHONPATH": str(ROOT)},
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        start_new_session=True,
    )
    assert process.stdout is not None
    for row in process.stdout:
        if row.startswith("   python "):  # as it starts a pipeline
            break
    process.send_signal(number)
    rest, _ = process.communicate(timeout=PATIENCE_SECONDS)
    assert process.returncode == 130, rest
    assert "interrupted; nothing is left running" in rest
    with pytest.raises(ProcessLookupError):
        os.killpg(process.pid, 0)


def test_what_profiles_do_is_told_from_their_tiers() -> None:
    (profile,) = rounds(1)[0]  # gold

    def of(tier: str) -> dict[str, Any]:
        return {**profile, "_acme": {"loyalty": {"tier": tier}}}

    tiers = ["silver", "gold", "platinum", "member", "silver", "platinum"]
    changes: list[Change] = ["outside", "entered", "changed", "left", "outside", "entered"]
    assert expected([[of(tier)] for tier in tiers]) == {member_of(profile): changes}


def test_missing_repeated_and_wrong_records_are_differences() -> None:
    first, second = rounds(2)[0]
    one, other = member_of(first), member_of(second)
    wanted: dict[str, list[Change]] = {one: ["entered", "left"], other: ["outside"]}
    right = [line(2, first, "exited"), line(1, first, "realized")]
    assert exported(right, "gold") == {one: ["entered", "left"]}
    assert differences(wanted, exported(right, "gold")) == []
    for wrong in (right[1:], [*right, line(3, first, "realized")], [*right, line(3, second, "realized")], []):
        assert len(differences(wanted, exported(wrong, "gold"))) == 1
