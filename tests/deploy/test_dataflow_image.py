"""The image for Dataflow and its Flex Template: what their files say, without an engine to build them."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

from testing.services.process import PATIENCE_SECONDS
from tests.deploy.dockerfile import ROOT, context, of, stages

FOLDER = ROOT / "deploy" / "dataflow"
DOCKERFILE = FOLDER / "Dockerfile"
LOCK = (FOLDER / "requirements.lock").read_text()
LAUNCHER, SDK, FINAL = stages(DOCKERFILE)


def pins(text: str) -> dict[str, str]:
    """Return the pinned packages of a file with their versions."""
    return {
        name.lower().replace("_", "-"): version
        for name, version in re.findall(r"^([\w.-]+)(?:\[\S+\])?==([^\s;]+)", text, re.MULTILINE)
    }


def test_the_linter_finds_nothing() -> None:
    program = Path(sys.executable).with_name("hadolint")
    done = subprocess.run([program, DOCKERFILE], capture_output=True, text=True)
    assert done.returncode == 0, done.stdout


def test_python_and_beam_are_the_same_in_all_that_it_is_made_of() -> None:
    (launcher,), (sdk,), (final,) = (of(stage, "FROM") for stage in (LAUNCHER, SDK, FINAL))
    python, beam = re.findall(r"apache/beam_python([\d.]+)_sdk:([\d.]+) AS sdk", sdk)[0]
    assert final.startswith(f"python:{python}-slim")
    assert f"/python{python.replace('.', '')}-template-launcher-base:" in launcher
    assert pins(LOCK)["apache-beam"] == beam


def test_its_packages_are_those_that_are_tested_with_googles_added() -> None:
    locked = pins(LOCK)
    direct = pins((ROOT / "requirements.txt").read_text())
    assert {name: locked.get(name) for name in direct} == direct, "make lock"
    assert {"google-cloud-dataflow-client", "google-cloud-storage", "boto3"} <= locked.keys()


def test_the_build_sees_what_it_copies_and_what_the_package_is_made_of() -> None:
    seen = list(context(DOCKERFILE))
    assert [path for path in seen if not path.exists()] == []
    common = set(context()) - {ROOT / "deploy" / "docker" / "requirements.lock"}
    assert set(seen) - common == {FOLDER / "requirements.lock", FOLDER / "launch.py"}
    copied = [source for each in of(FINAL, "COPY") if "--from" not in each for source in each.split()[:-1]]
    assert [name for name in copied if not (ROOT / name).exists()] == []


def test_workers_boot_in_it_and_the_launcher_finds_the_pipeline() -> None:
    assert of(FINAL, "ENTRYPOINT") == ['["/opt/apache/beam/boot"]']
    assert "--from=sdk /opt/apache/beam /opt/apache/beam" in of(FINAL, "COPY")
    (env,) = of(FINAL, "ENV")
    assert env == f"FLEX_TEMPLATE_PYTHON_PY_FILE={of(FINAL, 'WORKDIR')[-1]}/launch.py"
    done = subprocess.run(
        [sys.executable, FOLDER / "launch.py", "--help"], capture_output=True, text=True, timeout=PATIENCE_SECONDS
    )
    assert done.returncode == 0, done.stderr
    assert "--kafka_bootstrap_servers" in done.stdout
