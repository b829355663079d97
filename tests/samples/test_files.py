"""What `beam-aep init` does with a folder."""

from __future__ import annotations

from pathlib import Path

from samples.files import copy_project


def test_pages_that_were_there_stay_as_they_are(tmp_path: Path) -> None:
    """Links out of docs/ are taken away in our own pages only."""
    (tmp_path / "docs").mkdir()
    page = "See [the code](../src/main.py) and [what is declared](../configs/provision.yaml).\n"
    (tmp_path / "docs" / "ours.md").write_text(page)
    copied = copy_project(tmp_path)
    assert (tmp_path / "docs" / "ours.md").read_text() == page
    pages = [path.read_text(encoding="utf-8") for path in copied if path.parent.name == "docs" and path.suffix == ".md"]
    assert pages
    assert not any("](../configs/" in each for each in pages)
