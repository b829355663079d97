"""Prometheus, and promtool, its own checker of metrics and rules."""

from __future__ import annotations

import subprocess
import tempfile
from pathlib import Path
from types import TracebackType
from typing import Any

import requests
import yaml

from testing.services import downloads
from testing.services.process import PATIENCE_SECONDS, ServiceProcess, free_port


class Promtool:
    """promtool, fetched as the `with` block begins. Each check returns what is wrong, "" for nothing."""

    def __enter__(self) -> Promtool:
        self._path = downloads.promtool()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Do nothing: no process runs on."""

    def check_metrics(self, text: str) -> str:
        """Check metrics in the text format, their names and units included."""
        return self._run("check", "metrics", stdin=text)

    def check_rules(self, path: Path) -> str:
        """Check a file of rules."""
        return self._run("check", "rules", "--lint=all", "--lint-fatal", str(path))

    def check_config(self, path: Path) -> str:
        """Check a configuration of Prometheus."""
        return self._run("check", "config", str(path))

    def rule_tests(self, path: Path) -> str:
        """Run a file of unit tests of rules."""
        return self._run("test", "rules", str(path))

    def _run(self, *arguments: str, stdin: str = "") -> str:
        done = subprocess.run(
            [str(self._path), *arguments],
            input=stdin,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            check=False,
        )
        return done.stdout.strip() if done.returncode else ""


class Prometheus:
    """A server while its `with` block lasts.

    Args:
        configuration: As `prometheus.yaml` has it; it looks at the targets, and at the rules, once a second.
        rules: As a file of rules has them, in place of those that the configuration names.
    """

    def __init__(self, configuration: dict[str, Any], rules: dict[str, Any]):
        self._url = f"http://127.0.0.1:{free_port()}"
        self._folder = tempfile.TemporaryDirectory(prefix="prometheus-")
        each_second = {"scrape_interval": "1s", "evaluation_interval": "1s"}
        changed = {**configuration, "global": each_second, "rule_files": ["rules.yaml"]}
        for name, content in (("prometheus.yaml", changed), ("rules.yaml", rules)):
            Path(self._folder.name, name).write_text(yaml.safe_dump(content))
        self._session = requests.Session()
        self._session.trust_env = False  # no proxies

    def __enter__(self) -> Prometheus:
        folder = self._folder.name
        flags = {
            "config.file": f"{folder}/prometheus.yaml",
            "storage.tsdb.path": f"{folder}/data",
            "web.listen-address": self._url.removeprefix("http://"),
        }
        command = [str(downloads.prometheus()), *(f"--{name}={value}" for name, value in flags.items())]
        self._process = ServiceProcess("Prometheus", command, Path(folder, "log"))
        self._process.wait_until_ready(self._is_ready, PATIENCE_SECONDS)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._process.kill()
        self._session.close()
        self._folder.cleanup()

    def alerts(self) -> dict[str, str]:
        """Return the alerts that are pending or firing, by name; of several of one name the one that is firing."""
        found = self._get("alerts")["alerts"]
        return {
            one["labels"]["alertname"]: one["state"]
            for one in sorted(found, key=lambda one: one["state"], reverse=True)
        }

    def query(self, query: str) -> list[float]:
        """Return the values that a query has now."""
        return [float(one["value"][1]) for one in self._get("query", query=query)["result"]]

    def _is_ready(self) -> bool:
        try:
            return self._session.get(f"{self._url}/-/ready", timeout=PATIENCE_SECONDS).ok
        except requests.ConnectionError:
            return False

    def _get(self, path: str, **parameters: str) -> Any:
        answer = self._session.get(f"{self._url}/api/v1/{path}", params=parameters, timeout=PATIENCE_SECONDS)
        answer.raise_for_status()
        return answer.json()["data"]
