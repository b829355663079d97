"""Client of Flink's REST API (Flink's documentation, "Ops > REST API"); what the answers mean is decided elsewhere."""

from __future__ import annotations

import re
from typing import Any, NamedTuple
from urllib.parse import urlsplit

import requests

from aep.errors import UserError

_TIMEOUT_SECONDS = 20.0


class FlinkError(UserError):
    """The cluster cannot be reached, or refuses a call."""


class FlinkJob(NamedTuple):
    """A job that the cluster knows.

    Attributes:
        id: Flink's id of it.
        name: The option `job_name`.
        state: Such as RUNNING, RESTARTING, CANCELED, FAILED.
    """

    id: str
    name: str
    state: str


class Slots(NamedTuple):
    """Slots of a cluster for tasks."""

    free: int
    total: int


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
        parts = urlsplit(self._url)
        return parts._replace(netloc=parts.netloc.rpartition("@")[2]).geturl()

    def version(self) -> str:
        """Return the version of Flink, such as `1.19.3`."""
        return str(self._get("/config")["flink-version"])

    def slots(self) -> Slots:
        answer = self._get("/overview")
        return Slots(int(answer["slots-available"]), int(answer["slots-total"]))

    def configuration(self) -> dict[str, str]:
        """Return the job manager's configuration."""
        return {str(entry["key"]): str(entry["value"]) for entry in self._get("/jobmanager/config")}

    def jobs(self) -> list[FlinkJob]:
        """Return the jobs that the cluster remembers, newest last."""
        found = sorted(self._get("/jobs/overview")["jobs"], key=lambda job: int(job["start-time"]))
        return [FlinkJob(each["jid"], each["name"], each["state"]) for each in found]

    def traces(self, job_id: str) -> list[str]:
        """Return Java's stack traces of the failures of a job, newest first."""
        answer = self._get(f"/jobs/{job_id}/exceptions")
        history = answer.get("exceptionHistory", {}).get("entries", [])
        return [str(entry["stacktrace"]) for entry in history]

    def _get(self, path: str) -> Any:
        try:
            response = self._session.get(self._url + path, timeout=_TIMEOUT_SECONDS)
        except requests.RequestException as error:
            raise FlinkError(
                f"Flink's REST API cannot be reached at {self.url} ({_why(error)}); check flink_master, and that the "
                "job manager runs"
            ) from None
        answer = _json(response)
        if response.ok and answer is not None:
            return answer
        if reasons := _errors(answer):
            raise FlinkError(f"Flink at {self.url} answers {response.status_code} to GET {path}: {reasons}")
        raise FlinkError(
            f"{self.url} answers {response.status_code}, but not as Flink's REST API does; flink_master takes the "
            "address of the job manager's web page"
        )


def _why(error: requests.RequestException) -> str:
    text = str(error).lower()
    known = ("connection refused", "name or service not known", "timed out", "no route to host", "certificate")
    return next((words for words in known if words in text), type(error).__name__)


def _json(response: requests.Response) -> Any:
    try:
        return response.json()
    except ValueError:
        return None


def _errors(answer: object) -> str:
    """Return what Flink says of a call that it refuses, "" where the answer is not of its form."""
    errors = answer.get("errors") if isinstance(answer, dict) else None
    return " ".join(str(error).splitlines()[0] for error in errors or () if str(error))
