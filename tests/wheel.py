"""The wheel of this checkout, for tests of what users install."""

from __future__ import annotations

import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

from testing.services.process import PATIENCE_SECONDS

_ROOT = Path(__file__).parents[1]


def build_wheel(folder: Path) -> Path:
    """Build it into a folder and return its path."""
    # a copy: what an earlier build left in build/ would go into the wheel as well
    ignored = shutil.ignore_patterns(".*", "build", "dist", "*.egg-info", "__pycache__", "tests")
    with tempfile.TemporaryDirectory() as work:
        source = Path(work, "source")
        shutil.copytree(_ROOT, source, ignore=ignored)
        pip("wheel", "--no-deps", "--no-build-isolation", "--wheel-dir", folder, source)
    (path,) = folder.glob("*.whl")
    return path


def pip(*arguments: str | Path) -> None:
    """Run pip of this environment."""
    quiet = ["--quiet", "--disable-pip-version-check"]
    subprocess.run([sys.executable, "-m", "pip", *arguments, *quiet], check=True, timeout=PATIENCE_SECONDS)
