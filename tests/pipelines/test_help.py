"""The help of each pipeline begins with what it is and how it is called."""

from __future__ import annotations

import pkgutil
from importlib import import_module
from types import ModuleType

import pytest

import pipelines

NAMES = [each.name for each in pkgutil.iter_modules(pipelines.__path__) if not each.ispkg]
PIPELINES = [module for name in NAMES if hasattr(module := import_module(f"pipelines.{name}"), "main")]


@pytest.mark.parametrize("module", PIPELINES, ids=lambda module: module.__name__)
def test_each_pipeline_has_a_help_of_its_own(module: ModuleType, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as caught:
        module.main(["--help"])
    assert caught.value.code == 0
    text = capsys.readouterr().out
    assert " ".join(text.split()).startswith(str(module.__doc__).splitlines()[0])  # wrapped to the terminal
    assert f"python -m {module.__name__} " in text
    assert "  --dead_letter_path " in text
    assert max(map(len, text.splitlines())) <= 120
