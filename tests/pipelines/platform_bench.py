"""A run against an organisation of its own: a dataset of events in the emulator, the schema in its registry."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import orjson

from pipelines.cli.main import main
from testing.services.emulator import CLIENT_ID, Emulator
from testing.services.process import PATIENCE_SECONDS, wait_for
from tests.aep.management import Organisation
from tests.emulator.management import Platform
from transforms.records.dead_letter import DeadLetter
from transforms.sinks.files import read_files


class PlatformBench:
    """The organisation, and a folder with what a run needs: files of events, and later dead letters.

    The environment must have the client's secret as EMULATOR_SECRET.
    """

    def __init__(self, emulator: Emulator, folder: Path):
        self.emulator, self.folder = emulator, folder
        self.organisation = Organisation(emulator)
        self.streaming = self.organisation.create_streaming("experienceevent")
        self.tenant = f"_{self.organisation.name}"
        self.dead_letters = folder / "dead-letters"
        self.events = folder / "events.jsonl"

    def event(self, number: int, **more: object) -> dict[str, Any]:
        """Return an event, with more fields of the organisation's."""
        own = {"member": f"m{number}", "points": number, **more}
        return {"_id": f"e{number}", "timestamp": f"2026-01-02T03:04:{number:02d}Z", self.tenant: own}

    def write(self, *events: dict[str, Any]) -> None:
        """Write the file that a run reads."""
        self.events.write_bytes(b"".join(orjson.dumps(event) + b"\n" for event in events))

    def options(self, **more: object) -> dict[str, object]:
        """Return the options of a run, with more or others; None leaves one out."""
        options: dict[str, object] = {
            "kafka_source": "file",
            "kafka_file_pattern": self.events,
            "aep_inlet_url": self.streaming.inlet.url,
            "aep_dataset_id": self.streaming.dataset_id,
            "aep_flow_id": self.streaming.flow_id,
            "aep_org_id": self.organisation.id,
            "aep_platform_url": self.emulator.url,
            "aep_sandbox": "dev",
            "aep_ims_url": self.emulator.url,
            "aep_client_id": CLIENT_ID,
            "aep_client_secret": "env:EMULATOR_SECRET",
            "xdm_schema_id": self.streaming.schema_id,
            "dead_letter_path": self.dead_letters,
            **more,
        }
        return {name: value for name, value in options.items() if value is not None}

    def arguments(self, **more: object) -> list[str]:
        """Return the same as on a command line."""
        return [f"--{name}={value}" for name, value in self.options(**more).items()]

    def run(self, command: str, *arguments: str, **more: object) -> dict[str, Any]:
        """Run or replay to the end and until AEP has ingested all; return the summary."""
        summary = self.folder / "summary.json"
        assert main([command, *self.arguments(summary_file=summary, **more), *arguments]) == 0
        wait_for(
            lambda: self.emulator.stats()["pending_validation"] == 0, PATIENCE_SECONDS, "the asynchronous validation"
        )
        return dict(orjson.loads(summary.read_bytes()))

    def letters(self) -> list[DeadLetter]:
        """Return the dead letters in the folder."""
        return list(read_files(str(self.dead_letters)))

    def ingested(self) -> list[dict[str, Any]]:
        """Return the records in the dataset, in the order of their ids."""
        records = Platform(self.emulator, self.organisation.id).records(self.streaming.dataset_id)
        return sorted(records, key=lambda record: str(record["_id"]))

    def extend_schema(self, *fields: str) -> None:
        """Add text fields to the organisation's fields in the registry."""
        registry = self.organisation.registry
        (group,) = registry.field_groups.list()
        registry.field_groups.patch(
            group["$id"],
            [
                {
                    "op": "add",
                    "path": f"/definitions/own/properties/{self.tenant}/properties/{name}",
                    "value": {"type": "string", "meta:xdmType": "string"},
                }
                for name in fields
            ],
        )
