"""The JSON Patch library of Adobe's JsonPatchTransform, in a JVM of its own that is asked line by line."""

from __future__ import annotations

import json
import subprocess
from collections.abc import Sequence
from pathlib import Path
from types import TracebackType
from typing import Any

from testing.services import downloads
from testing.services.process import PATIENCE_SECONDS, ServiceError

PROGRAM = Path(__file__).parent / "ApplyPatch.java"
QUICK_START = ["-XX:+UseSerialGC", "-XX:TieredStopAtLevel=1", "-Xmx64m"]


class PatchFailedError(Exception):
    """The library threw: Adobe's transform would log an error and pass the record on as it was."""


class Zjsonpatch:
    """The library while the `with` block lasts."""

    def __enter__(self) -> Zjsonpatch:
        java = downloads.java(compiler=True)
        command = [java, *QUICK_START, "-cp", f"{downloads.zjsonpatch_jars()}/*", str(PROGRAM)]
        self._process = subprocess.Popen(
            command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, encoding="utf-8"
        )
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        try:
            self._process.communicate(timeout=PATIENCE_SECONDS)  # the program ends with its input
        finally:
            self._process.kill()

    def apply(self, operations: Sequence[Any], record: Any) -> Any:
        """Return what the library makes of a record.

        Raises:
            PatchFailedError: It threw.
            ServiceError: The JVM is gone.
        """
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        self._process.stdin.write(json.dumps({"patch": operations, "record": record}) + "\n")
        self._process.stdin.flush()
        answer = self._process.stdout.readline().strip()
        if not answer:
            raise ServiceError("the JVM with zjsonpatch has ended: see its error output")
        if answer == "failed":
            raise PatchFailedError
        return json.loads(answer)
