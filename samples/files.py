"""What comes with the package: sample options files and schemas, the project of `beam-aep init`, the pages of docs/."""

from __future__ import annotations

import re
import shutil
from collections.abc import Mapping
from pathlib import Path

_HERE = Path(__file__).parent
# where configs/, deploy/ and docs/ are: in an installed package beside this file (setup.py puts them there), in a
# checkout at its top
_TOP = next(place for place in (_HERE, _HERE.parent) if (place / "configs").is_dir())
_CONFIGS = _TOP / "configs"
_PROJECT = _HERE / "project"
# Under other names there: git would obey the one.
_RENAMED = {"gitignore": ".gitignore"}
# Of a project, beside the files of its own.
_SHARED = {
    "provision.yaml": "configs/provision.yaml",
    "loyalty-tests.yaml": "configs/loyalty-tests.yaml",
    "schemas/loyalty-event.schema.json": "configs/schemas/loyalty-event.schema.json",
    "schemas/loyalty-profile.schema.json": "configs/schemas/loyalty-profile.schema.json",
    "prometheus/alerts.yaml": "deploy/prometheus/alerts.yaml",
    "grafana/beam-aep.json": "deploy/grafana/beam-aep.json",
}
# From a page of docs/ to a file elsewhere in the checkout.
_LINK_UP = re.compile(r"\[(?P<text>[^\]]*)\]\(\.\./(?P<file>[^)#]*)\)")


def shipped(path: str) -> str:
    """Return where a file or folder is that comes with the package, such as docs/commands.md."""
    return str(_TOP / path)


def copy_configs(directory: Path) -> list[Path]:
    """Copy the sample options files and schemas; return the files written.

    Args:
        directory: Target folder; created if missing.

    Raises:
        FileExistsError: A file of that name is there already; nothing has been copied.
        OSError: A file cannot be written.
    """
    files = sorted(path for path in _CONFIGS.rglob("*") if path.suffix in (".yaml", ".json"))
    return _copy({path: directory / path.relative_to(_CONFIGS) for path in files})


def copy_project(directory: Path) -> list[Path]:
    """Copy the project that `beam-aep init` writes; return the files written.

    Args:
        directory: Target folder; created if missing.

    Raises:
        FileExistsError: A file of that name is there already; nothing has been copied.
        OSError: A file cannot be written.
    """
    own = sorted(path for path in _PROJECT.rglob("*") if path.is_file())
    copies = {path: directory / path.relative_to(_PROJECT) for path in own}
    copies = {path: copy.with_name(_RENAMED.get(copy.name, copy.name)) for path, copy in copies.items()}
    copies |= {_TOP / source: directory / name for name, source in _SHARED.items()}
    docs = sorted(path for path in (_TOP / "docs").rglob("*") if path.is_file())
    copies |= {path: directory / path.relative_to(_TOP) for path in docs}
    copied = _copy(copies)
    for page in (copies[path] for path in docs if path.suffix == ".md"):  # there may be others
        page.write_text(_of_project(page.read_text(encoding="utf-8")), encoding="utf-8")
    return copied


def _of_project(page: str) -> str:
    """Return a page of docs/ whose links lead to files of the project; those to other files become text."""
    names = {source: name for name, source in _SHARED.items()}

    def led(link: re.Match[str]) -> str:
        name = names.get(link["file"])
        return f"[{link['text']}](../{name})" if name else link["text"]

    return _LINK_UP.sub(led, page)


def _copy(copies: Mapping[Path, Path]) -> list[Path]:
    for copy in copies.values():
        if copy.exists():
            raise FileExistsError(f"{copy} exists already: nothing was written")
    for path, copy in copies.items():
        copy.parent.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(path, copy)
    return list(copies.values())
