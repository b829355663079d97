"""The emulator, a local AEP, as a process of its own."""

from __future__ import annotations

import re
import shutil
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path
from types import TracebackType
from typing import Any

import orjson
import requests

from testing.services.process import PATIENCE_SECONDS, ServiceProcess, free_port, wait_for

CLIENT_ID = "emulator-client"
CLIENT_SECRET = "emulator-secret"
_LISTENING = re.compile(r"^listening on (http://\S+)$", re.MULTILINE)


class Emulator:
    """A running emulator. It can be stopped or killed and started again on the same port, with the same state.

    Args:
        state: SQLite file that survives restarts; None forgets everything at the end.
        count_only: Counting mode.
        inlets: Inlets to create at each start, in the form of `POST /__local/inlets`.
        arguments: More command-line arguments.
    """

    def __init__(
        self,
        *,
        state: Path | None = None,
        count_only: bool = False,
        inlets: Sequence[dict[str, Any]] = (),
        arguments: Sequence[str] = (),
    ) -> None:
        self.url = ""
        self._folder = Path(tempfile.mkdtemp(prefix="emulator-"))
        self._process: ServiceProcess | None = None
        self._session = requests.Session()
        self._session.trust_env = False  # no proxies
        self._arguments = list(arguments)
        if state:
            self._arguments += ["--state", str(state)]
        if count_only:
            self._arguments.append("--count-only")
        if inlets:
            (self._folder / "inlets.json").write_bytes(orjson.dumps(inlets))
            self._arguments += ["--inlets", str(self._folder / "inlets.json")]

    def start(self) -> Emulator:
        """Start it, again on the port it had before; return when it listens."""
        log = self._folder / "log"
        log.unlink(missing_ok=True)
        port = self.url.rpartition(":")[2] or free_port()
        command = [sys.executable, "-m", "emulator", f"--port={port}", *self._arguments]
        self._process = ServiceProcess("emulator", command, log)
        self._process.wait_until_ready(lambda: bool(_LISTENING.search(log.read_text())), PATIENCE_SECONDS)
        match = _LISTENING.search(log.read_text())
        assert match
        self.url = match[1]
        return self

    @property
    def process(self) -> ServiceProcess:
        """The process, to pause it or to read its log."""
        assert self._process is not None, "the emulator was not started"
        return self._process

    def stop(self) -> None:
        """End it in good order (SIGTERM)."""
        self.process.terminate()

    def kill(self) -> None:
        """End it at once (SIGKILL)."""
        self.process.kill()

    def __enter__(self) -> Emulator:
        return self.start()

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.stop()
        self._session.close()
        shutil.rmtree(self._folder, ignore_errors=True)

    def local(self, method: str, path: str, body: dict[str, Any] | None = None) -> Any:
        """Call `/__local/PATH` and return its answer.

        Raises:
            RuntimeError: The call was refused; the message is the emulator's.
        """
        data = None if body is None else orjson.dumps(body)
        response = self._session.request(method, f"{self.url}/__local/{path}", data=data, timeout=PATIENCE_SECONDS)
        if not response.ok:
            raise RuntimeError(f"{method} /__local/{path}: {response.status_code} {response.text}")
        return orjson.loads(response.content)

    def stats(self) -> dict[str, Any]:
        """Return what `GET /__local/stats` tells."""
        return dict(self.local("GET", "stats"))

    def inlet_stats(self, inlet_id: str) -> dict[str, Any]:
        """Return the part of `stats` that belongs to one inlet."""
        return dict(self.stats()["inlets"][inlet_id])

    def ids(self, inlet_id: str) -> dict[str, int]:
        """Return each `_id` that an inlet has accepted, with the number of times."""
        return dict(self.local("GET", f"ids?inlet={inlet_id}")["ids"])

    def messages(self, inlet_id: str, *, limit: int = 100_000) -> list[dict[str, Any]]:
        """Return the accepted messages of an inlet, in order."""
        return list(self.local("GET", f"messages?inlet={inlet_id}&limit={limit}")["messages"])

    def failed(self, inlet_id: str, *, limit: int = 100_000) -> list[dict[str, Any]]:
        """Return the accepted messages of an inlet that failed the asynchronous validation, once all are validated."""
        wait_for(lambda: self.stats()["pending_validation"] == 0, PATIENCE_SECONDS, "the asynchronous validation")
        return list(self.local("GET", f"failed?inlet={inlet_id}&limit={limit}")["messages"])

    def create_inlet(self, **definition: Any) -> dict[str, Any]:
        """Create an inlet; the answer has `inletId`, `inletUrl`, `datasetId`."""
        return dict(self.local("POST", "inlets", definition))

    def faults(self, **changes: Any) -> dict[str, Any]:
        """Switch faults on, besides those that are on."""
        return dict(self.local("POST", "faults", changes))

    def clear_faults(self) -> None:
        """Switch all faults off."""
        self.local("DELETE", "faults")

    def reset(self) -> None:
        """Forget counts, messages and faults."""
        self.local("POST", "reset")

    def revoke_tokens(self) -> None:
        """Revoke all access tokens."""
        self.local("POST", "revoke_tokens")
