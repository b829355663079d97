"""Prism, Beam's portable runner for one machine, as a process of this run."""

from __future__ import annotations

import logging
import subprocess
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from urllib.parse import urlsplit
from zipfile import BadZipFile

from apache_beam.options.pipeline_options import PipelineOptions
from apache_beam.version import __version__ as beam_version

from pipelines.options.settings import Settings
from pipelines.runtime.job_server import answers
from pipelines.runtime.preflight import PreflightError

_START_SECONDS = 60.0

# Without a process that gives it a job, so after this one was killed, it ends.
_ORPHAN = "--idle_shutdown_timeout=5m"

_BUILD_IT = (
    f"build it by `go install github.com/apache/beam/sdks/v2/go/cmd/prism@v{beam_version}`, and give the path of the "
    "program as prism_location"
)

# What it says unless options ask for more.
_QUIET = ["--prism_log_level=warn", "--prism_log_kind=text"]

_LOG = logging.getLogger("apache_beam.prism")  # left out where ours say why a bundle failed, as all of Beam's


@contextmanager
def running_prism(settings: Settings) -> Iterator[tuple[str, ...]]:
    """Run Prism while the block lasts, if options ask for one of our own, and yield the flags by which Beam finds it.

    Beam would start it beside this process, where Ctrl-C reaches both, and stop it at SIGINT by a handler of its own:
    it would end before the run does. In a session of its own it lives until the last bundle is committed.

    Raises:
        PreflightError: There is none, or it does not start.
    """
    if settings.runner_class != "PrismRunner" or settings.beam.get("job_endpoint"):
        yield ()
        return
    command, endpoint = _command(settings)
    try:
        process = subprocess.Popen(  # noqa: S603 (the program that options name)
            [*map(str, command), _ORPHAN],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            errors="backslashreplace",
            start_new_session=True,
        )
    except OSError as error:
        raise PreflightError(f"{command[0]} cannot be started as Prism: {error.strerror}; {_BUILD_IT}") from None
    with process:
        try:
            threading.Thread(target=_log_output, args=(process,), name="prism's log", daemon=True).start()
            _await_start(process, command[0], endpoint)
            yield (f"--job_endpoint={endpoint}",)
        finally:
            process.kill()


def _command(settings: Settings) -> tuple[list[object], str]:
    location = settings.beam.get("prism_location")
    if location and not urlsplit(location).scheme and not Path(location).is_file():
        raise PreflightError(
            f"prism_location ({settings.origin('prism_location')}): there is no file {location}; {_BUILD_IT}"
        )
    from apache_beam.runners.portability.prism_runner import PrismJobServer  # makes a socket as it is loaded

    try:
        return PrismJobServer(PipelineOptions([*_QUIET, *settings.beam_flags])).subprocess_cmd_and_endpoint()
    except (RuntimeError, ValueError, OSError, BadZipFile) as error:  # of its download
        raise PreflightError(f"no Prism: {error}; {_BUILD_IT}") from None


def _await_start(process: subprocess.Popen[str], program: object, endpoint: str) -> None:
    deadline = time.monotonic() + _START_SECONDS
    while not answers(endpoint, seconds=0.5):
        if process.poll() is not None:
            raise PreflightError(f"{program} ended with exit code {process.returncode}: is it Prism?")
        if time.monotonic() >= deadline:
            raise PreflightError(f"Prism takes no jobs at {endpoint} {_START_SECONDS:.0f} s after its start")


def _log_output(process: subprocess.Popen[str]) -> None:
    for line in process.stdout or ():
        _LOG.warning("%s", line.rstrip())
