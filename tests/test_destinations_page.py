"""The page on destinations: each of its commands, in its order, against the local AEP and its Kinesis."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

import orjson

from testing.services.process import PATIENCE_SECONDS, ServiceProcess, free_port

ROOT = Path(__file__).parents[1]
PAGE = (ROOT / "docs" / "destinations.md").read_text()
COMMANDS = [
    line for block in re.findall(r"^```sh\n(.*?)^```", PAGE, re.DOTALL | re.MULTILINE) for line in block.splitlines()
]
# What must be seen of a command, by a part of it.
SHOWS = {
    "--dry-run": "create",
    "provision-kinesis.yaml --options_file=aep.yaml --yes": "changed destination Loyalty to Kinesis",
    "send": "pass",
    "read-stream.py": "segmentMembership",
    "--rotate-credentials": "changed Kinesis connection Loyalty to Kinesis",
}


def test_from_a_file_to_the_first_record(tmp_path: Path) -> None:
    aep_port, kinesis_port = str(free_port()), str(free_port())

    def here(text: str) -> str:
        return text.replace("8080", aep_port).replace("4567", kinesis_port)

    (tmp_path / "configs").symlink_to(ROOT / "configs")
    (tmp_path / ".venv").symlink_to(sys.prefix)
    for name, content in re.findall(r"^```(?:yaml|python)\n# (\S+)\n(.*?)^```", PAGE, re.DOTALL | re.MULTILINE):
        (tmp_path / name).write_text(here(content))
    emulate, *commands = COMMANDS
    exports = [command for command in commands if command.startswith("export ")]
    log = tmp_path / "aep.log"
    with ServiceProcess("the emulator", ["sh", "-c", f"cd {tmp_path} && exec {here(emulate)}"], log) as aep:
        aep.wait_until_ready(lambda: "listening on" in aep.log(), PATIENCE_SECONDS)
        seen = set()
        for command in [each for each in commands if each not in exports]:
            line = " && ".join([*exports, here(command)])
            done = subprocess.run(
                line, cwd=tmp_path, shell=True, capture_output=True, text=True, timeout=PATIENCE_SECONDS
            )
            said = done.stdout + done.stderr
            assert done.returncode == 0, f"{command}\n{said}"
            for part, words in SHOWS.items():
                if part in command:
                    seen.add(part)
                    assert words in said, f"{command}\n{said}"
            if "read-stream.py" in command:
                (record,) = [orjson.loads(row[row.index("{") :]) for row in done.stdout.splitlines()]
    assert seen == set(SHOWS)
    assert record["_acme"]["loyalty"]["tier"] == "gold"
    (membership,) = record["segmentMembership"]["ups"].values()
    assert (membership["status"], membership["name"]) == ("realized", "Gold members")
