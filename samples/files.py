"""The sample options files and schemas, as they come with the package."""

from __future__ import annotations

import shutil
from pathlib import Path

_HERE = Path(__file__).parent
# in an installed package beside this file (setup.py puts them there), in a checkout at its top
_PLACES = (_HERE / "configs", _HERE.parent / "configs")


def copy_configs(directory: Path) -> list[Path]:
    """Copy the sample options files and schemas; return the files written.

    Args:
        directory: Target folder; created if missing.

    Raises:
        FileExistsError: A file of that name is there already; nothing has been copied.
        OSError: A file cannot be written.
    """
    source = next(place for place in _PLACES if place.is_dir())
    files = sorted(path for path in source.rglob("*") if path.suffix in (".yaml", ".json"))
    copies = [directory / path.relative_to(source) for path in files]
    for copy in copies:
        if copy.exists():
            raise FileExistsError(f"{copy} exists already")
    for path, copy in zip(files, copies, strict=True):
        copy.parent.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(path, copy)
    return copies
