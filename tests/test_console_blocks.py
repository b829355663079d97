"""The `console` blocks of the pages are for machines with Docker, a cluster or systemd: what they name exists here.

What of them can run here does. The page on Flink has tests of its own beside these.
"""

from __future__ import annotations

import itertools
import json
import re
import shlex
import subprocess
import sys
from pathlib import Path
from typing import NamedTuple

import pytest
import yaml

from testing.services.process import PATIENCE_SECONDS
from tests.deploy.dockerfile import ROOT, of, stages
from tests.walkthrough import blocks

PROJECT = ROOT / "samples" / "project"
UNIT = ROOT / "deploy" / "systemd" / "beam-aep.service"
OURS = ("deploy", "configs", "samples", "tests", "docs")
SECRETS = {"aep-client-secret", "kafka-password"}


class Command(NamedTuple):
    """A command of a page, its lines joined."""

    page: str
    words: list[str]


def commands() -> list[Command]:
    """Return the commands of all `console` blocks."""
    found = []
    for path in sorted(ROOT.glob("docs/*.md")):
        text = re.sub(r"\s*\\\n\s*", " ", "".join(blocks(path.read_text(), "console")))
        steps = [step for line in text.splitlines() for step in line.split(" && ")]
        found += [Command(path.name, shlex.split(step)) for step in steps]
    return found


COMMANDS = commands()


def called(page: str, *beginning: str) -> list[list[str]]:
    """Return the arguments of a page's commands with this beginning."""
    length = len(beginning)
    words = [each.words for each in COMMANDS if each.page == page]
    return [each[length:] for each in words if tuple(each[:length]) == beginning]


def test_the_pages_have_such_blocks() -> None:
    assert {"dataflow.md", "deployment.md", "flink.md", "scaling.md"} <= {command.page for command in COMMANDS}


@pytest.mark.parametrize("command", COMMANDS, ids=lambda command: f"{command.page}: {' '.join(command.words)[:60]}")
def test_files_of_the_checkout_that_are_named_exist(command: Command) -> None:
    for word in command.words:
        path = word.rpartition("=")[2]
        for each in path.split(","):
            if each.partition("/")[0] in OURS:
                assert (ROOT / each).exists(), each


@pytest.mark.parametrize(
    "command", [command for command in COMMANDS if command.words[:2] == ["docker", "build"]], ids=lambda each: each.page
)
def test_images_are_built_in_a_folder_that_has_what_they_copy(command: Command) -> None:
    dockerfile, context = ROOT / command.words[command.words.index("-f") + 1], ROOT / command.words[-1]
    copied = [argument for stage in stages(dockerfile) for argument in of(stage, "COPY") if "--from" not in argument]
    for argument in copied:
        *sources, _ = [word for word in argument.split() if not word.startswith("--")]
        for source in sources:
            assert (context / source).exists() or list(context.glob(source)), source


def test_an_image_takes_the_arguments_that_it_is_run_with() -> None:
    ((_, _, *arguments),) = called("deployment.md", "docker", "run")
    done = subprocess.run([sys.executable, "-m", "pipelines.cli", *arguments], cwd=ROOT, capture_output=True, text=True)
    assert (done.returncode, done.stdout[:8]) == (0, "beam-aep"), done.stderr


@pytest.mark.parametrize("page", ["deployment.md", "flink.md"])
def test_the_secret_has_the_keys_that_manifests_refer_to(page: str) -> None:
    ((name, *values),) = called(page, "kubectl", "create", "secret", "generic")
    keys = {value.removeprefix("--from-literal=").partition("=")[0] for value in values}
    assert keys == SECRETS
    folder = {"deployment.md": ROOT / "deploy" / "kubernetes", "flink.md": ROOT / "deploy" / "flink"}[page]
    text = "\n".join(path.read_text() for path in folder.glob("*.yaml"))
    referred = re.findall(r'secretKeyRef:\s*\{?\s*name: "?([\w-]+)"?,?\s+key: "?([\w-]+)"?', text)
    assert {each for each, _ in referred} == {name}
    assert {key for _, key in referred} == keys


def test_the_chart_has_the_values_that_are_set() -> None:
    ((_, chart, *flags),) = called("deployment.md", "helm", "install")
    known = yaml.safe_load((ROOT / chart / "values.yaml").read_text())
    for flag, value in zip(flags[::2], flags[1::2], strict=True):
        assert flag in ("--set", "--set-file")
        key, _, given = value.partition("=")
        assert re.split(r"(?<!\\)\.", key)[0] in known
        if flag == "--set-file" and not given.startswith(
            "schemas/"
        ):  # those of a project: provision writes its schemas
            assert (PROJECT / given).exists()


def test_a_template_is_run_with_parameters_that_it_has() -> None:
    ((*_, metadata),) = [
        words for _, words in COMMANDS if words[:4] == ["gcloud", "dataflow", "flex-template", "build"]
    ]
    known = {each["name"] for each in json.loads((ROOT / metadata).read_text())["parameters"]}
    (run,) = called("dataflow.md", "gcloud", "dataflow", "flex-template", "run")
    given = [value for flag, value in itertools.pairwise(run) if flag == "--parameters"]
    assert len(given) >= 2
    for value in given:
        assert re.sub(r"^\^.\^", "", value).partition("=")[0] in known


def test_the_dry_run_takes_its_options(tmp_path: Path) -> None:
    ((*options, last),) = [command.words[2:] for command in COMMANDS if command.words[-1] == "--dry_run"]
    for name in options[1::2]:
        if name.startswith("configs/"):
            (tmp_path / name).parent.mkdir(exist_ok=True)
            (tmp_path / name).write_text((ROOT / name).read_text())
        else:
            (tmp_path / name).write_text(MY_DATAFLOW)
    command = [sys.executable, "-m", "pipelines.cli", "run", *options, last, "--print_options"]
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, timeout=PATIENCE_SECONDS)
    assert done.returncode == 0, done.stderr


MY_DATAFLOW = """
project: PROJECT
region: europe-west1
sdk_container_image: europe-west1-docker.pkg.dev/PROJECT/beam-aep/dataflow:TAG
temp_location: gs://bucket/temp
kafka_bootstrap_servers: kafka:9092
kafka_topics: [events]
aep_inlet_url: https://dcs.adobedc.net/collection/INLET_ID
aep_org_id: ORG_ID@AdobeOrg
aep_dataset_id: DATASET_ID
xdm_schema_file: configs/schemas/loyalty-event.schema.json
dead_letter_topic: dead-letters
"""


def test_the_steps_to_a_service_of_systemd_put_files_where_the_unit_looks_for_them(tmp_path: Path) -> None:
    project, root = tmp_path / "project", tmp_path / "root"
    (project / "schemas").mkdir(parents=True)
    (project / "deploy").symlink_to(ROOT / "deploy")
    for name in ("client-secret.txt", "kafka-password.txt", "aep.yaml", "routes.yaml"):
        (project / name).write_text(name)
    (root / "etc" / "systemd" / "system").mkdir(parents=True)
    ours = [command.words for command in COMMANDS if command.page == "scaling.md"]
    for words in ours:
        if words[0] in ("install", "cp"):
            moved = [f"{root}{word}" if word.startswith("/") else word for word in words]
            subprocess.run(moved, cwd=project, check=True)
    unit = UNIT.read_text()
    assert (root / "etc/systemd/system" / UNIT.name).read_text() == unit
    for source in re.findall(r"^LoadCredential=[\w-]+:(.*)$", unit, re.MULTILINE):
        secret = Path(f"{root}{source}")
        assert secret.stat().st_mode & 0o777 == 0o600, source
    (folder,) = re.findall(r"^WorkingDirectory=(.*)$", unit, re.MULTILINE)
    (options,) = re.findall(r"--options_file=(\S+)", unit)
    assert {options, "routes.yaml", "schemas"} <= {path.name for path in Path(f"{root}{folder}").iterdir()}
    (program,) = re.findall(r"^ExecStart=(\S+)", unit, re.MULTILINE)
    assert ["python3", "-m", "venv", str(Path(program).parents[1])] in ours
    assert [f"{Path(program).parent}/pip", "install", "dist/beam_aep-*.whl"] in ours
    assert ["systemctl", "enable", "--now", UNIT.stem] in ours
