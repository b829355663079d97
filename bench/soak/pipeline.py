"""The pipeline as users run it, a process after another, each watched while it lives."""

from __future__ import annotations

import signal
import sys
import threading
import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

import orjson
import yaml

from testing.services.process import ServiceError, ServiceProcess, wait_for

BASE_OPTIONS = Path(__file__).parents[2] / "configs" / "base.yaml"
OPTIONS_FILE = "options.yaml"

_LOOK_SECONDS = 1.0
_MOST_ENDS = 3  # by itself
_END_SECONDS = 30.0  # what orchestrators give a process between SIGTERM and SIGKILL

Ending = Literal["running", "killed", "stopped", "gave up", "by itself"]


@dataclass
class Run:
    """One process of the pipeline.

    Attributes:
        number: 1 for the first.
        started: Seconds since the soak began.
        seconds: How long it ran.
        ending: `killed`; `stopped` in good order; `gave up` when asked to stop while it could not deliver: what it
            had under way is read again; `by itself`, which nobody asked for.
        memory: Resident bytes, once a second: (seconds since it started, bytes).
        log: Its log.
        summary: Its account; empty when it left none.
        unanswered: Messages that AEP accepted while it lost answers to this process; any may have been sent again.
    """

    number: int
    started: float
    log: Path
    seconds: float = 0.0
    ending: Ending = "running"
    memory: list[tuple[float, int]] = field(default_factory=list)
    summary: dict[str, Any] = field(default_factory=dict)
    unanswered: int = 0


class Pipeline:
    """Starts a pipeline with an options file, ends it in several ways, and starts it again.

    Args:
        name: Its module in `pipelines`.
        folder: Where the options, logs and summaries go.
        options: Options of the pipeline, in which it differs from configs/base.yaml.
        environment: Variables for its process, where secrets are.
    """

    def __init__(self, name: str, folder: Path, options: Mapping[str, Any], environment: Mapping[str, str]):
        self.runs: list[Run] = []
        self._module = f"pipelines.{name}"
        self._folder = folder
        self._environment = environment
        self._options = folder / OPTIONS_FILE
        self._options.write_text(yaml.safe_dump(dict(options), sort_keys=False))
        self._process: ServiceProcess | None = None
        self._began = time.monotonic()
        self._watch = threading.Thread(target=self._look, name="memory", daemon=True)
        self._closed = threading.Event()

    @property
    def run(self) -> Run:
        return self.runs[-1]

    def start(self) -> None:
        """Start another process."""
        number = len(self.runs) + 1
        log = self._folder / f"pipeline-{number}.log"
        command = [sys.executable, "-m", self._module, "--options_file", str(BASE_OPTIONS)]
        command += ["--options_file", str(self._options), "--progress=on", f"--summary_file={self._summary(number)}"]
        self._process = ServiceProcess("the pipeline", command, log, env=self._environment)
        self.runs.append(Run(number, time.monotonic() - self._began, log))
        if number == 1:
            self._watch.start()

    def check(self) -> None:
        """Start it again if it has ended without being asked to, as a supervisor would.

        Raises:
            ServiceError: It does so again and again; the message ends with its log.
        """
        if self._process is not None and not self._process.running:
            self._ended("by itself")
            if sum(run.ending == "by itself" for run in self.runs) >= _MOST_ENDS:
                raise ServiceError(f"the pipeline keeps ending by itself\n{self.words()}")
            self.start()

    def kill(self) -> None:
        self._now().kill()
        self._ended("killed")

    def ask_to_stop(self) -> None:
        """Send SIGTERM and do not wait."""
        self._now().signal(signal.SIGTERM)

    def await_stop(self) -> None:
        """Wait until a process that was asked to stop has ended, and kill it when it takes too long."""
        process = self._now()
        try:
            wait_for(lambda: not process.running, _END_SECONDS, "the pipeline to stop")
        except ServiceError:
            self.kill()
            return
        endings: dict[int, Ending] = {0: "stopped", 1: "gave up"}
        self._ended(endings.get(process.exit_code, "by itself"))

    def close(self) -> None:
        """End what is left, whatever happened."""
        self._closed.set()
        if self._process is not None:
            self._process.kill()
        if self._watch.is_alive():
            self._watch.join()

    def words(self) -> str:
        """Return the last lines of the last run's log."""
        lines = self.run.log.read_text(errors="replace").splitlines()[-20:]
        return "\n".join([f"end of {self.run.log}:", *lines])

    def _now(self) -> ServiceProcess:
        if self._process is None:
            raise ServiceError("the pipeline is not running")
        return self._process

    def _ended(self, ending: Ending) -> None:
        run = self.run
        run.seconds = time.monotonic() - self._began - run.started
        run.ending = ending
        summary = self._summary(run.number)
        if summary.exists():
            run.summary = orjson.loads(summary.read_bytes())
        self._now().terminate()  # it has ended: this lets its watchdog go
        self._process = None

    def _summary(self, number: int) -> Path:
        return self._folder / f"summary-{number}.json"

    def _look(self) -> None:
        while not self._closed.wait(_LOOK_SECONDS):
            process, run = self._process, self.run
            resident = process.resident_bytes if process is not None else 0
            if resident:
                run.memory.append((round(time.monotonic() - self._began - run.started, 1), resident))
