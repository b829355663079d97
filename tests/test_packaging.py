"""The wheel, installed outside the checkout, brings all that a user needs."""

from __future__ import annotations

import re
import subprocess
import sys
import sysconfig
import zipfile
from importlib.metadata import requires
from pathlib import Path

import orjson
import pytest

from testing.services.process import PATIENCE_SECONDS
from tests.wheel import build_wheel, pip
from transforms.records.dead_letter import DeadLetter
from transforms.records.record import Record

ROOT = Path(__file__).parents[1]
EXTRA = {"httptools", "starlette", "uvicorn"}  # the modules of the extra `emulator`
OTHER_EXTRAS = {"boto3", "botocore", "pybase64"}
LETTER = DeadLetter("parse", "json", "not JSON", "orders", 0, Record(0, 0, None, (), b"{"), route="default")


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return build_wheel(tmp_path_factory.mktemp("wheel"))


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
    folders = ("configs/**/*.*", "deploy/prometheus/*", "deploy/grafana/*", "docs/**/*")
    shown = [path for pattern in folders for path in ROOT.glob(pattern) if path.is_file()]
    assert {f"samples/{path.relative_to(ROOT)}" for path in shown} <= set(names)


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


def test_a_project_is_written_that_can_run(installed: Path, tmp_path: Path) -> None:
    done = shell(
        "beam-aep init mine && cd mine && beam-aep run --options_file=aep.yaml --print_options", installed, tmp_path
    )
    assert done.returncode == 2, done.stderr
    assert done.stderr.count("error:") == 1  # all is there but what `beam-aep kafka` writes
    assert "kafka_bootstrap_servers: missing" in done.stderr
    kafka = "kafka_bootstrap_servers: 127.0.0.1:9092"
    done = shell(
        f"echo '{kafka}' > kafka.yaml"
        " && beam-aep run --options_file=aep.yaml --options_file=kafka.yaml --print_options",
        installed,
        tmp_path / "mine",
    )
    assert done.returncode == 0, done.stderr
    assert "aep.yaml:" in done.stdout
    assert {"kafka.yaml", "dead-letters/"} <= set((tmp_path / "mine" / ".gitignore").read_text().splitlines())


def test_what_is_named_of_the_documentation_is_there(installed: Path, tmp_path: Path) -> None:
    """Pages that a project's files name, in the project; those that commands name, where they say."""
    done = shell("beam-aep init mine", installed, tmp_path)
    assert done.returncode == 0, done.stderr
    named = set()
    for path in (tmp_path / "mine").rglob("*"):
        if path.is_file() and path.suffix != ".md":
            named.update(re.findall(r"docs/[\w-]+\.md", path.read_text()))
    assert {"docs/operations.md", "docs/dead-letter-codes.md"} <= named
    assert {one for one in named if not (tmp_path / "mine" / one).is_file()} == set()
    for page in (tmp_path / "mine").rglob("*.md"):
        targets = re.findall(r"\]\((?!https?:)([^)#]+)[^)]*\)", page.read_text())
        assert {one for one in targets if not (page.parent / one).is_file()} == set(), page
    assert "[`configs/provision.yaml`](../provision.yaml)" in (tmp_path / "mine" / "docs" / "commands.md").read_text()

    (tmp_path / "letters.jsonl").write_bytes(LETTER.to_json() + b"\n")
    shown = shell("beam-aep dead-letters show --from letters.jsonl --json", installed, tmp_path)
    path, anchor = orjson.loads(shown.stdout)["dead_letters"][0]["see"].split("#")
    assert f"### `{anchor}`" in Path(path).read_text()
    (folder,) = re.findall(
        r"^ *Documentation: (.*)$", shell("beam-aep --help", installed, tmp_path).stdout, re.MULTILINE
    )
    assert (Path(folder) / "commands.md").is_file()


def test_a_project_overwrites_nothing(installed: Path, tmp_path: Path) -> None:
    (tmp_path / "notes.txt").write_text("no file of a project")
    (tmp_path / "routes.yaml").write_text("mine")
    done = shell("beam-aep init .", installed, tmp_path)
    assert done.returncode == 2
    assert "routes.yaml exists already" in done.stderr
    assert {path.name for path in tmp_path.iterdir()} == {"notes.txt", "routes.yaml"}


@pytest.mark.parametrize("command", ["init", "configs"])
@pytest.mark.parametrize(("target", "words"), [("f", "is a file"), ("f/sub", "error: f/sub: Not a directory\n")])
def test_a_file_is_no_target(command: str, target: str, words: str, installed: Path, tmp_path: Path) -> None:
    (tmp_path / "f").write_text("mine")
    done = shell(f"beam-aep {command} {target}", installed, tmp_path)
    assert (done.returncode, words in done.stderr, "Errno" in done.stderr) == (2, True, False), done.stderr


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
