"""Client of Flink's REST API (Flink's documentation, "Ops > REST API"); what the answers mean is decided elsewhere."""

from __future__ import annotations

import re
import time
from collections import Counter
from collections.abc import Callable
from functools import wraps
from typing import Any, Concatenate, ParamSpec, TypeVar
from urllib.parse import urljoin, urlsplit

import requests
import urllib3

from aep.errors import UserError
from pipelines.flink.answers import (
    Checkpoints,
    Failure,
    FlinkJob,
    JobDetail,
    Load,
    Savepoint,
    Slots,
    read_checkpoint,
)

_P = ParamSpec("_P")
_R = TypeVar("_R")

_TIMEOUT_SECONDS = 20.0

# How often, and how long, a cluster is asked again for what it may have answered from a cache of three seconds.
_ASKED_AGAIN = 4
_ASK_AGAIN_SECONDS = 1.0

_MAY_BE_DONE = "; Flink may do what it was asked for all the same: see beam-aep job status"


class FlinkError(UserError):
    """The cluster cannot be reached, or refuses a call."""


def _read_as_flinks(call: Callable[Concatenate[FlinkRest, _P], _R]) -> Callable[Concatenate[FlinkRest, _P], _R]:
    """Raise a `FlinkError` where an answer is JSON, and not what Flink says: something else listens there."""

    @wraps(call)
    def read(rest: FlinkRest, /, *args: _P.args, **kwargs: _P.kwargs) -> _R:
        try:
            return call(rest, *args, **kwargs)
        except (LookupError, TypeError, ValueError, AttributeError):
            raise FlinkError(rest.not_flink(200)) from None

    return read


class FlinkRest:
    """Calls of a cluster's REST API.

    Args:
        address: The option `flink_master`: HOST:PORT or a URL.
        session: Sends the requests.
    """

    def __init__(self, address: str, session: requests.Session):
        address = address.strip().rstrip("/")
        self._url = address if re.match("https?://", address) else f"http://{address}"
        self._session = session

    @property
    def url(self) -> str:
        """Address of the cluster's page, without credentials."""
        return _without_secrets(self._url)

    @_read_as_flinks
    def version(self) -> str:
        """Return the version of Flink, such as `1.19.3`."""
        return str(self._get("/config")["flink-version"])

    @_read_as_flinks
    def slots(self) -> Slots:
        answer = self._get("/overview")
        return Slots(int(answer["slots-available"]), int(answer["slots-total"]))

    @_read_as_flinks
    def configuration(self) -> dict[str, str]:
        """Return the job manager's configuration."""
        return {str(entry["key"]): str(entry["value"]) for entry in self._get("/jobmanager/config")}

    @_read_as_flinks
    def jobs(self) -> list[FlinkJob]:
        """Return the jobs that the cluster remembers, newest last."""
        found = sorted(self._get("/jobs/overview")["jobs"], key=lambda job: int(job["start-time"]))
        return [FlinkJob(each["jid"], each["name"], each["state"], each["start-time"] / 1_000) for each in found]

    @_read_as_flinks
    def job(self, job_id: str) -> JobDetail:
        answer = self._get(f"/jobs/{job_id}")
        tasks: Counter[str] = Counter()
        for vertex in answer["vertices"]:
            tasks.update(vertex["tasks"])
        state = str(answer["state"])
        since = answer["timestamps"][state] / 1_000
        ids = tuple(vertex["id"] for vertex in answer["vertices"])
        return JobDetail(state, since, answer["now"] / 1_000, {name: n for name, n in tasks.items() if n}, ids)

    @_read_as_flinks
    def checkpoints(self, job_id: str) -> Checkpoints:
        latest = self._get(f"/jobs/{job_id}/checkpoints").get("latest") or {}
        restored = (latest.get("restored") or {}).get("external_path")
        return Checkpoints(read_checkpoint(latest.get("completed")), read_checkpoint(latest.get("savepoint")), restored)

    def final_checkpoints(self, job_id: str) -> Checkpoints:
        """Return the newest checkpoints of a job that has ended.

        Flink answers from a cache, `rest.cache.checkpoint-statistics.timeout`, three seconds by default. What it calls
        the newest may be gone by then, because a newer one took its place: such an answer is not taken until then.
        """
        for _ in range(_ASKED_AGAIN):
            found = self.checkpoints(job_id)
            if found.newest is None or found.newest.kept:
                return found
            time.sleep(_ASK_AGAIN_SECONDS)
        return self.checkpoints(job_id)

    @_read_as_flinks
    def keeps_checkpoints(self, job_id: str) -> bool:
        """Return whether the newest checkpoint of a job outlives its cancellation."""
        kept = self._get(f"/jobs/{job_id}/checkpoints/config")["externalization"]
        return bool(kept["enabled"] and not kept["delete_on_cancellation"])

    @_read_as_flinks
    def restarts(self, job_id: str) -> int | None:
        """Return how often a job was restarted since it was submitted; None where Flink no longer knows."""
        found = self._get(f"/jobs/{job_id}/metrics?get=numRestarts")
        return int(found[0]["value"]) if found else None

    @_read_as_flinks
    def load(self, job_id: str, vertex: str) -> Load:
        answer = self._get(f"/jobs/{job_id}/vertices/{vertex}/backpressure")
        ratios = (each.get("busyRatio") for each in answer.get("subtasks", ()))
        busy = max((ratio for ratio in ratios if isinstance(ratio, float)), default=0.0)  # a source's is "NaN"
        return Load(str(answer.get("backpressureLevel", "ok")), busy)

    @_read_as_flinks
    def failures(self, job_id: str) -> list[Failure]:
        """Return the failures of a job, newest first."""
        answer = self._get(f"/jobs/{job_id}/exceptions")
        history = answer.get("exceptionHistory", {}).get("entries", [])
        return [Failure(entry["timestamp"] / 1_000, str(entry["stacktrace"])) for entry in history]

    @_read_as_flinks
    def stop(self, job_id: str, directory: str | None) -> str:
        """Ask that a job be stopped with a savepoint; return the id of the request.

        Args:
            job_id: The job; it goes on where the savepoint fails.
            directory: Where to write the savepoint; None for the cluster's own place.
        """
        body = {"drain": False} | ({"targetDirectory": directory} if directory else {})
        return str(self._call("POST", f"/jobs/{job_id}/stop", body)["request-id"])

    @_read_as_flinks
    def savepoint(self, job_id: str, request_id: str) -> Savepoint:
        answer = self._get(f"/jobs/{job_id}/savepoints/{request_id}")
        operation = answer.get("operation") or {}
        trace = (operation.get("failure-cause") or {}).get("stack-trace", "")
        return Savepoint(answer["status"]["id"] == "COMPLETED", str(operation.get("location") or ""), str(trace))

    def cancel(self, job_id: str) -> None:
        """Ask that a job be cancelled."""
        self._call("PATCH", f"/jobs/{job_id}?mode=cancel")

    def _get(self, path: str) -> Any:
        return self._call("GET", path)

    def _call(self, method: str, path: str, body: object = None) -> Any:
        url = self._url + path
        may_be_done = "" if method == "GET" else _MAY_BE_DONE
        try:
            # Of a redirected POST or PATCH a client makes a GET, whose answer would be taken for that to the call.
            response = self._session.request(method, url, json=body, timeout=_TIMEOUT_SECONDS, allow_redirects=False)
        except requests.RequestException as error:
            raise FlinkError(
                f"Flink's REST API cannot be reached at {self.url} ({_why(error)}); check flink_master, and that the "
                f"job manager runs{'' if _never_connected(error) else may_be_done}"
            ) from None
        status = response.status_code
        if location := response.headers.get("Location") if 300 <= status < 400 else None:
            raise FlinkError(
                f"{self.url} answers {status} to {method} {path}, a redirect to "
                f"{_without_secrets(urljoin(url, location))}, and redirects are not followed: flink_master has "
                "to be an address at which Flink itself answers"
            )
        answer = _json(response)
        if response.ok and answer is not None:
            return answer
        if status < 500:
            may_be_done = ""
        if reasons := _errors(answer):
            raise FlinkError(f"Flink at {self.url} answers {status} to {method} {path}: {reasons}{may_be_done}")
        raise FlinkError(f"{self.not_flink(status)}{may_be_done}")

    def not_flink(self, status: int) -> str:
        """Return what users read of an answer with this status that is not Flink's."""
        return (
            f"{self.url} answers {status}, but not as Flink's REST API does; flink_master takes the address of the job "
            "manager's web page"
        )


def _without_secrets(url: str) -> str:
    """Return a URL without credentials and query."""
    parts = urlsplit(url)
    return parts._replace(netloc=parts.netloc.rpartition("@")[2], query="", fragment="").geturl()


def _why(error: requests.RequestException) -> str:
    text = str(error).lower()
    known = (
        "connection refused",
        "name or service not known",
        "timed out",
        "no route to host",
        "certificate",
        "connection reset",
    )
    return next((words for words in known if words in text), type(error).__name__)


def _never_connected(error: requests.RequestException) -> bool:
    """Return whether no connection was made: only of these errors does urllib3 count the tries."""
    return bool(error.args) and isinstance(error.args[0], urllib3.exceptions.MaxRetryError)


def _json(response: requests.Response) -> Any:
    try:
        return response.json()
    except ValueError:
        return None


def _errors(answer: object) -> str:
    """Return what Flink says of a call that it refuses, "" where the answer is not of its form."""
    errors = answer.get("errors") if isinstance(answer, dict) else None
    return " ".join(str(error).splitlines()[0] for error in errors or () if str(error))
