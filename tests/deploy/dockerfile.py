"""Reading a Dockerfile, as far as ours goes, and what of the checkout its COPY gets."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

ROOT = Path(__file__).parents[2]
DOCKERFILE = ROOT / "deploy" / "docker" / "Dockerfile"


class Step(NamedTuple):
    """One instruction, with its lines joined."""

    instruction: str
    argument: str


def stages(dockerfile: Path = DOCKERFILE) -> list[list[Step]]:
    """Return the steps of each stage, the first of which is its FROM; arguments of FROM itself are left out."""
    text = re.sub(r"^#.*\n", "", dockerfile.read_text(), flags=re.MULTILINE)
    text = re.sub(r"\s*\\\n\s*", " ", text)
    found: list[list[Step]] = []
    for line in text.splitlines():
        if line.strip():
            step = Step(*line.split(maxsplit=1))
            if step.instruction == "FROM":
                found.append([])
            if found:
                found[-1].append(step)
    return found


def of(stage: list[Step], instruction: str) -> list[str]:
    """Return the arguments of the steps of one kind."""
    return [step.argument for step in stage if step.instruction == instruction]


def context(dockerfile: Path = DOCKERFILE) -> Iterator[Path]:
    """Yield the entries of the checkout that the build gets to see: the file names them, after leaving out all."""
    everything, *rules = [
        line
        for line in (dockerfile.parent / "Dockerfile.dockerignore").read_text().splitlines()
        if not line.startswith("#")
    ]
    assert everything == "*"
    for rule in rules:
        if rule.startswith("!"):
            yield ROOT / rule[1:]
        else:
            assert rule == "**/__pycache__"
