"""The files that the demo writes for the pipeline, to be read and used again: `.demo/` in the working directory."""

from __future__ import annotations

import os
import shutil
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import yaml

CONFIGS = Path(os.path.relpath(Path(__file__).parents[1])) / "configs"
BASE = CONFIGS / "base.yaml"
FOLDER = Path(".demo")
ROUTES, OPTIONS, SUMMARY = FOLDER / "routes.yaml", FOLDER / "options.yaml", FOLDER / "summary.json"
PROVISION, DEAD_LETTERS = FOLDER / "provision.yaml", FOLDER / "dead-letters"

SECRET = "AEP_CLIENT_SECRET"  # noqa: S105 - the name of the environment variable that holds it


def empty_folder() -> None:
    """Remove what an earlier demo left."""
    shutil.rmtree(FOLDER, ignore_errors=True)
    FOLDER.mkdir()


def write_provision(topics: Sequence[str]) -> None:
    """Write what AEP has to have: as configs/provision.yaml, but with a connection for each topic, to count by."""
    declared = yaml.safe_load((CONFIGS / "provision.yaml").read_text())
    flow_of = {topic: route["flow"] for route in declared["routes"] for topic in route["topics"]}
    declared["connections"] = [{"name": topic, "authentication_required": True} for topic in topics]
    for topic in topics:
        (flow,) = [each for each in declared["flows"] if each["name"] == flow_of[topic]]
        flow["connection"] = topic
    _write(PROVISION, f"{CONFIGS / 'provision.yaml'} with a connection for each topic.", declared)


def read_inlets() -> dict[str, str]:
    """Return the id of each topic's inlet, of the routes file that `beam-aep provision` has written."""
    routes = yaml.safe_load(ROUTES.read_text())["routes"]
    return {topic: route["inlet_url"].rpartition("/")[2] for route in routes for topic in route["topics"]}


def write_options(bootstrap_servers: str, aep_url: str, org_id: str, client_id: str) -> None:
    """Write the options in which this run differs from configs/base.yaml."""
    options = {
        "runner": "FnApiRunner",
        "kafka_bootstrap_servers": bootstrap_servers,
        "kafka_group_id": "demo",
        "kafka_stop_at": "end",
        "routes_file": str(ROUTES),
        "aep_platform_url": aep_url,
        "aep_ims_url": aep_url,
        "aep_org_id": org_id,
        "aep_auth": "oauth",
        "aep_client_id": client_id,
        "aep_client_secret": f"env:{SECRET}",
        "dead_letter_path": str(DEAD_LETTERS),
        "summary_file": str(SUMMARY),
    }
    _write(OPTIONS, f"To be given after {BASE}.", options)


def _write(path: Path, comment: str, content: Any) -> None:
    path.write_text(f"# Written by the demo. {comment}\n{yaml.safe_dump(content, sort_keys=False)}")
