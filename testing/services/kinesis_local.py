"""kinesis-local, a stand-in for Kinesis by others, to compare ours with."""

from __future__ import annotations

import shutil
import tempfile
from pathlib import Path
from types import TracebackType

from testing.services.downloads import kinesis_local
from testing.services.process import PATIENCE_SECONDS, ServiceProcess, ServiceUnavailable, free_port, is_listening


class KinesisLocal:
    """A running kinesis-local.

    Raises:
        ServiceUnavailable: This machine has no Node, or the package cannot be fetched.
    """

    def __init__(self) -> None:
        self.endpoint = ""
        self._folder = Path(tempfile.mkdtemp(prefix="kinesis-local-"))
        self._process: ServiceProcess | None = None

    def __enter__(self) -> KinesisLocal:
        main = kinesis_local()
        node = shutil.which("node")
        if not node:
            raise ServiceUnavailable("no node found: install Node.js")
        port = free_port()
        settings = {
            "KINESIS_MOCK_PLAIN_PORT": str(port),
            "KINESIS_MOCK_TLS_PORT": str(free_port()),
            "KINESIS_MOCK_CERT_PATH": str(main.parent / "server.json"),
            "LOG_LEVEL": "ERROR",
        }
        self._process = ServiceProcess("kinesis-local", [node, str(main)], self._folder / "log", env=settings)
        self._process.wait_until_ready(lambda: is_listening(port), PATIENCE_SECONDS)
        self.endpoint = f"http://127.0.0.1:{port}"
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._process:
            self._process.kill()  # it has nothing to keep, and else waits half a minute for idle connections
        shutil.rmtree(self._folder, ignore_errors=True)
