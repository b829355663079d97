"""The files that the demo writes for the pipeline, to be read and used again: `.demo/` in the working directory."""

from __future__ import annotations

import os
import shutil
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import yaml

CONFIGS = Path(os.path.relpath(Path(__file__).parents[1])) / "configs"
BASE = CONFIGS / "base.yaml"
FOLDER = Path(".demo")
ROUTES, OPTIONS, SUMMARY = FOLDER / "routes.yaml", FOLDER / "options.yaml", FOLDER / "summary.json"
DEAD_LETTERS = FOLDER / "dead-letters"

SECRET = "AEP_CLIENT_SECRET"  # noqa: S105 - the name of the environment variable that holds it


def schema_file(topic: str) -> Path:
    """Return the schema of a topic of the sample: loyalty-events has loyalty-event.schema.json."""
    return CONFIGS / "schemas" / f"{topic.removesuffix('s')}.schema.json"


def empty_folder() -> None:
    """Remove what an earlier demo left."""
    shutil.rmtree(FOLDER, ignore_errors=True)
    FOLDER.mkdir()


def write_routes(inlets: Mapping[str, Mapping[str, Any]]) -> None:
    """Write a route for each topic, with its inlet as the emulator describes it."""
    routes = [
        {
            "name": topic,
            "topics": [topic],
            "inlet_url": inlet["inletUrl"],
            "dataset_id": inlet["datasetId"],
            "org_id": inlet["orgId"],
            "schema_file": str(schema_file(topic)),
        }
        for topic, inlet in inlets.items()
    ]
    _write(ROUTES, "Which topic goes to which inlet and dataset, by which schema.", {"routes": routes})


def write_options(bootstrap_servers: str, ims_url: str, client_id: str) -> None:
    """Write the options in which this run differs from configs/base.yaml."""
    options = {
        "runner": "FnApiRunner",
        "kafka_bootstrap_servers": bootstrap_servers,
        "kafka_group_id": "demo",
        "kafka_stop_at": "end",
        "routes_file": str(ROUTES),
        "aep_auth": "oauth",
        "aep_ims_url": ims_url,
        "aep_client_id": client_id,
        "aep_client_secret": f"env:{SECRET}",
        "dead_letter_path": str(DEAD_LETTERS),
        "summary_file": str(SUMMARY),
    }
    _write(OPTIONS, f"To be given after {BASE}.", options)


def _write(path: Path, comment: str, content: Any) -> None:
    path.write_text(f"# Written by the demo. {comment}\n{yaml.safe_dump(content, sort_keys=False)}")
