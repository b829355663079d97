"""The tutorial: each of its commands, in its order, with the Kafka and the local AEP that it starts."""

from __future__ import annotations

import re
import resource
import sys
from collections.abc import Sequence
from pathlib import Path

import orjson
import pytest
import requests
import yaml

from testing.services.process import PATIENCE_SECONDS, wait_for
from tests.walkthrough import Walk, blocks, commands
from tests.wheel import build_wheel

ROOT = Path(__file__).parents[1]
TUTORIAL = (ROOT / "docs" / "tutorial.md").read_text()
COMMANDS = commands(TUTORIAL)
INSTALLATION = COMMANDS[:3]
# What must be seen of a command, by a part of it.
SHOWS = {
    "--dry-run": "create",
    "--yes": "routes.yaml",
    "--route=profiles": "pass",
    "--events": "commerce",
    " check ": "ready",
    "loyalty-tests": "0 failed",
    " run ": "unaccounted for",
    "stats": "dead letters",
    "failed-batches": "failed batch",
    "--route=events": "pass",
    "preview": "2 would be sent",
    "produce": "2 records",
    "--routes_file=bookings-routes.yaml --kafka_stop_at=end": "accepted by AEP",
}
MOST_SECONDS = 120  # from provision to lookup, by the promise of the docs; of processor time, on a busy machine


def processor_seconds() -> float:
    """Return what the commands that have ended have used."""
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    return used.ru_utime + used.ru_stime


def follow(walk: Walk, lines: Sequence[str]) -> None:
    """Go through the tutorial from `beam-aep init` to the user's own records on their profiles' pages."""
    before = processor_seconds()
    init, enter, *rest = lines
    walk.run(init)
    walk.run(enter)
    own_event, own_records = blocks(TUTORIAL, "json")
    (declarations,) = [block for block in blocks(TUTORIAL, "yaml") if block.startswith("# bookings.yaml\n")]
    for name, content in (
        ("my-event.json", own_event),
        ("bookings.jsonl", own_records),
        ("bookings.yaml", declarations),
    ):
        (walk.folder / name).write_text(content)
    walk.follow(rest, SHOWS)
    assert processor_seconds() - before < MOST_SECONDS
    member, guest = re.findall(r"http\S+/profiles\?\S+\w", TUTORIAL)
    is_on_page(walk, member, orjson.loads(own_event)["_id"])
    for line in own_records.splitlines():
        is_on_page(walk, guest, orjson.loads(line)["number"])


def is_on_page(walk: Walk, address: str, event_id: str) -> None:
    """Wait until a profile's page shows an event."""

    def is_shown() -> bool:
        return event_id in requests.get(walk.here(address), timeout=PATIENCE_SECONDS).text

    wait_for(is_shown, PATIENCE_SECONDS, f"the event {event_id} on the profile's page")


def test_from_a_topic_to_a_profile_with_its_events(tmp_path: Path) -> None:
    with Walk(tmp_path, Path(sys.prefix, "bin")) as walk:
        follow(walk, COMMANDS[len(INSTALLATION) :])


def test_the_readme_of_a_project_has_the_same_commands() -> None:
    """So that they are run by the test above; the slow test runs them as they stand there."""
    assert set(commands((ROOT / "samples" / "project" / "README.md").read_text())) <= set(COMMANDS)


@pytest.mark.slow
def test_the_tutorial_needs_nothing_but_the_wheel(tmp_path: Path) -> None:
    """Installed as it says, with what pip downloads."""
    build_wheel(tmp_path / "dist")
    with Walk(tmp_path, tmp_path / ".venv" / "bin") as walk:
        for line in INSTALLATION:
            walk.run(line)
        follow(walk, COMMANDS[len(INSTALLATION) :])
    with Walk(tmp_path, tmp_path / ".venv" / "bin") as walk:
        walk.run("beam-aep init project")
        walk.run("cd project")
        walk.follow(commands((walk.folder / "README.md").read_text()), {" run ": "unaccounted for"})


def test_the_options_that_it_shows_are_those_of_the_project() -> None:
    (shown,) = [block for block in blocks(TUTORIAL, "yaml") if block.startswith("# aep.yaml\n")]
    options = yaml.safe_load((ROOT / "samples" / "project" / "aep.yaml").read_text())
    assert yaml.safe_load(shown).items() <= options.items()
