"""The tutorial: each of its commands, in its order, against a real Kafka and the local AEP."""

from __future__ import annotations

import re
import resource
import subprocess
import sys
from pathlib import Path

import pytest

from testing.services.kafka import KafkaBroker
from testing.services.process import PATIENCE_SECONDS, ServiceProcess, free_port

pytestmark = pytest.mark.kafka

ROOT = Path(__file__).parents[1]
TUTORIAL = (ROOT / "docs" / "tutorial.md").read_text()
COMMANDS = [
    line
    for block in re.findall(r"^```sh\n(.*?)^```", TUTORIAL, re.DOTALL | re.MULTILINE)
    for line in block.splitlines()
]
BROKER, AEP = "127.0.0.1:9092", "8080"
# What must be seen of a command, by a part of it.
SHOWS = {
    "--dry-run": "create",
    "--yes": "routes.yaml",
    "send": "pass",
    "--events": "commerce",
    " check ": "ready",
    " run ": "unaccounted for",
    "stats": "dead letters",
    "failed-batches": "failed batch",
}
MOST_SECONDS = 120  # from provision to lookup, by the promise of the docs; of processor time, on a busy machine


def processor_seconds() -> float:
    """Return what the commands that have ended have used."""
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    return used.ru_utime + used.ru_stime


def test_from_a_topic_to_a_profile_with_its_events(broker: KafkaBroker, tmp_path: Path) -> None:
    for topic in ("loyalty-profiles", "loyalty-events"):  # the tutorial's names, which no other test has
        broker.create_topic(topic, 2)
    port = str(free_port())

    def here(text: str) -> str:
        return text.replace(BROKER, broker.bootstrap_servers).replace(AEP, port)

    (tmp_path / "configs").symlink_to(ROOT / "configs")
    (tmp_path / ".venv").symlink_to(sys.prefix)
    (options,) = re.findall(r"^```yaml\n(# aep\.yaml\n.*?)^```", TUTORIAL, re.DOTALL | re.MULTILINE)
    (tmp_path / "aep.yaml").write_text(here(options))
    assert COMMANDS.pop(0) == "make setup"
    emulate = here(COMMANDS.pop(0))
    export = COMMANDS.pop(0)
    assert export.startswith("export ")
    with ServiceProcess("the emulator", ["sh", "-c", f"cd {tmp_path} && exec {emulate}"], tmp_path / "aep.log") as aep:
        aep.wait_until_ready(lambda: "listening on" in aep.log(), PATIENCE_SECONDS)
        before = processor_seconds()
        seen = set()
        for command in COMMANDS:
            line = f"{export} && {here(command)}"
            done = subprocess.run(
                line, cwd=tmp_path, shell=True, capture_output=True, text=True, timeout=PATIENCE_SECONDS
            )
            said = done.stdout + done.stderr
            assert done.returncode == 0, f"{command}\n{said}"
            for part, words in SHOWS.items():
                if part in command:
                    seen.add(part)
                    assert words in said, f"{command}\n{said}"
        assert processor_seconds() - before < MOST_SECONDS
    assert seen == set(SHOWS)
