"""A figure beyond its bound fails the command, which says which figure, what was measured, and the bound."""

from __future__ import annotations

from pathlib import Path

import orjson
import pytest

from bench import __main__ as command
from bench import bounds
from bench.bounds import Bound, BoundsError, Limit, judge, read
from bench.figure import Figure
from bench.parts import PARTS, Part


@pytest.mark.parametrize(
    ("limit", "values", "met"),
    [
        (Limit(">=", 0.9), [0.9, 0.5, 0.95], True),  # the median counts
        (Limit(">=", 0.9), [0.89], False),
        (Limit("<", 3), [3.0], False),
        (Limit("<", 3), [2.9], True),
        (Limit("<=", 1.3), [1.3], True),
        (Limit("<=", 1.3), [1.31], False),
    ],
)
def test_a_figure_is_judged_by_its_median(limit: Limit, values: list[float], met: bool) -> None:
    (judged,) = judge("kafka", [Figure("cpu", "CPU", values)], {"cpu": Bound(limit)})
    assert judged.met is met


def test_a_figure_without_a_bound_is_not_judged() -> None:
    (judged,) = judge("kafka", [Figure("cpu", "CPU", [1.0])], {})
    assert judged.met is None


def test_a_bound_of_a_figure_that_does_not_exist_is_refused() -> None:
    with pytest.raises(BoundsError, match=r"bounds\.yaml: kafka: no figure is called cpus"):
        judge("kafka", [Figure("cpu", "CPU", [1.0])], {"cpus": Bound(Limit("<", 1))})


@pytest.mark.parametrize("entry", ["1.3", "'> 1.3'", "'<= many'", "{bound: '< 2'}", "{bound: '< 2', goal: '< 1'}"])
def test_an_entry_of_another_form_is_refused_with_its_place(tmp_path: Path, entry: str) -> None:
    path = tmp_path / "bounds.yaml"
    path.write_text(f"kafka:\n  cpu: {entry}\n")
    with pytest.raises(BoundsError, match=r"bounds\.yaml: kafka: cpu: "):
        read(path)


def test_the_stored_bounds_are_of_parts_that_exist() -> None:
    assert read().keys() <= PARTS.keys()


@pytest.mark.parametrize(("value", "code"), [(1.4, 1), (1.3, 0)])
def test_the_command_fails_by_a_bound(
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    value: float,
    code: int,
) -> None:
    stored = tmp_path / "bounds.yaml"
    stored.write_text("steps:\n  cpu: {bound: '<= 1.3', target: '<= 1.1'}\n")
    limits = bounds.read(stored)
    monkeypatch.setattr(bounds, "read", lambda: limits)
    figure = Figure("cpu", "CPU against a loop", [value])
    monkeypatch.setitem(PARTS, "steps", Part("nothing", lambda settings: {}, lambda raw: [figure]))
    output = tmp_path / "bench.json"
    output.write_bytes(orjson.dumps({"parts": {"kafka": {"seconds": 5}, "steps": {"seconds": 5}}}))
    assert command.main(["--only", "steps", f"--output={output}"]) == code
    printed, told = capsys.readouterr()
    assert "<= 1.3 (target <= 1.1)" in printed
    beyond = "beyond its bound: CPU against a loop: 1.4, bound <= 1.3 (target <= 1.1) (steps: cpu)"
    assert (beyond in told) == bool(code)
    # What other parts measured earlier is kept.
    written = orjson.loads(output.read_bytes())["parts"]
    assert written["kafka"] == {"seconds": 5}
    assert written["steps"]["figures"][0]["median"] == value


def test_a_file_that_is_not_one_of_results_is_kept(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    output = tmp_path / "bench.json"
    output.write_text('{"figures": []}')
    with pytest.raises(SystemExit):
        command.main(["--only", "steps", f"--output={output}"])
    assert "not results of this version of the benchmarks" in capsys.readouterr().err
    assert output.read_text() == '{"figures": []}'
