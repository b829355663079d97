"""The wheel, installed outside the checkout, brings all that a user needs."""

from __future__ import annotations

import re
import shutil
import subprocess
import sys
import sysconfig
import zipfile
from importlib.metadata import requires
from pathlib import Path

import pytest

from testing.services.process import PATIENCE_SECONDS

ROOT = Path(__file__).parents[1]
EXTRA = {"httptools", "starlette", "uvicorn"}  # the modules of the extra `emulator`
OTHER_EXTRAS = {"boto3", "botocore"}


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("wheel")
    # a copy: what an earlier build left in build/ would go into the wheel as well
    ignored = shutil.ignore_patterns(".*", "build", "dist", "*.egg-info", "__pycache__", "tests")
    shutil.copytree(ROOT, folder / "source", ignore=ignored)
    pip("wheel", "--no-deps", "--no-build-isolation", "--wheel-dir", folder, folder / "source")
    (path,) = folder.glob("*.whl")
    return path


@pytest.fixture(scope="module")
def installed(wheel: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The programs of an environment with the wheel and what it requires, without its extras.

    What it requires is linked from this environment rather than downloaded.
    """
    environment = tmp_path_factory.mktemp("installed")
    subprocess.run([sys.executable, "-m", "venv", "--without-pip", environment], check=True)
    (packages,) = environment.glob("lib/python*/site-packages")
    for path in Path(sysconfig.get_path("purelib")).iterdir():
        if path.name not in EXTRA | OTHER_EXTRAS and "beam_aep" not in path.name:
            (packages / path.name).symlink_to(path)
    pip("--python", environment, "install", "--no-deps", wheel)
    return environment / "bin"


def pip(*arguments: str | Path) -> None:
    quiet = ["--quiet", "--disable-pip-version-check"]
    subprocess.run([sys.executable, "-m", "pip", *arguments, *quiet], check=True, timeout=PATIENCE_SECONDS)


def shell(command: str, installed: Path, folder: Path) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        command.replace("beam-aep", str(installed / "beam-aep")),
        shell=True,
        cwd=folder,
        capture_output=True,
        text=True,
        timeout=PATIENCE_SECONDS,
    )


def test_has_the_packages_of_a_user_and_no_others(wheel: Path) -> None:
    names = zipfile.ZipFile(wheel).namelist()
    tops = {name.partition("/")[0] for name in names}
    packages = {"aep", "emulator", "kinesis", "pipelines", "samples", "transforms"}
    assert {top for top in tops if "." not in top} == packages
    assert {f"samples/{path.relative_to(ROOT)}" for path in ROOT.glob("configs/**/*.*")} <= set(names)


def test_the_version_is_the_one_of_the_wheel(installed: Path, wheel: Path, tmp_path: Path) -> None:
    done = shell("beam-aep --version", installed, tmp_path)
    name, version = done.stdout.split()
    assert wheel.name.startswith(f"{name.replace('-', '_')}-{version}-")


def test_the_sample_options_run(installed: Path, tmp_path: Path) -> None:
    copied = shell("beam-aep configs", installed, tmp_path)
    assert copied.returncode == 0, copied.stderr
    done = shell(
        "beam-aep run --options_file=configs/base.yaml --options_file=configs/local.yaml"
        " --routes_file=configs/loyalty-routes.yaml --print_options",
        installed,
        tmp_path,
    )
    assert done.returncode == 0, done.stderr
    for file in ("configs/base.yaml", "configs/local.yaml"):
        assert file in done.stdout
    checked = shell(
        "beam-aep generate 100 --kind events | beam-aep schema check configs/schemas/loyalty-event.schema.json",
        installed,
        tmp_path,
    )
    assert checked.returncode == 0, checked.stderr


def test_copying_the_sample_options_overwrites_nothing(installed: Path, tmp_path: Path) -> None:
    (tmp_path / "configs").mkdir()
    (tmp_path / "configs" / "local.yaml").write_text("mine")
    done = shell("beam-aep configs", installed, tmp_path)
    assert done.returncode == 2
    assert "configs/local.yaml exists already" in done.stderr
    assert [path.name for path in (tmp_path / "configs").iterdir()] == ["local.yaml"]
    assert (tmp_path / "configs" / "local.yaml").read_text() == "mine"


def test_the_emulator_without_its_extra_names_the_extra(installed: Path, tmp_path: Path) -> None:
    done = shell("beam-aep emulate --port=0", installed, tmp_path)
    assert done.returncode == 2
    assert "pip install 'beam-aep[emulator]'" in done.stderr
    assert "Traceback" not in done.stderr


def test_the_extra_has_what_the_emulator_imports() -> None:
    extra = [line for line in requires("beam-aep") or () if 'extra == "emulator"' in line]
    assert {re.match(r"[\w-]+", line).group() for line in extra} == EXTRA  # type: ignore[union-attr]


@pytest.mark.slow
def test_a_fresh_environment_gets_all_that_it_needs(wheel: Path, tmp_path: Path) -> None:
    """With the packages that pip chooses within the ranges of setup.py, downloaded."""
    subprocess.run([sys.executable, "-m", "venv", "--without-pip", tmp_path / "fresh"], check=True)
    pip("--python", tmp_path / "fresh", "install", f"{wheel}[emulator,kinesis,msk]")
    installed = tmp_path / "fresh" / "bin"
    for command in ("run", "replay", "emulate", "check", "send", "provision", "dead-letters", "schema"):
        done = shell(f"beam-aep {command} --help", installed, tmp_path)
        assert done.returncode == 0, done.stderr
    test_the_sample_options_run(installed, tmp_path)
