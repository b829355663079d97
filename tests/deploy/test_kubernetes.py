"""The manifests for Kubernetes and the Helm chart that they are made by, checked against our options and the image."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
import yaml

from testing.services import downloads
from testing.services.pytest_support import require
from tests.deploy.dockerfile import ROOT, of, stages
from tests.pipelines.to_aep import load_routes, parse

MANIFESTS = ROOT / "deploy" / "kubernetes" / "beam-aep.yaml"
CHART = ROOT / "deploy" / "helm" / "beam-aep"
SCHEMAS = ROOT / "configs" / "schemas"


def of_kind(manifests: str, kind: str) -> list[dict[str, Any]]:
    return [document for document in yaml.safe_load_all(manifests) if document and document["kind"] == kind]


class Pod:
    """The pod of rendered manifests, with what is mounted into it."""

    def __init__(self, manifests: str) -> None:
        self.maps: dict[str, dict[str, str]] = {
            each["metadata"]["name"]: each["data"] for each in of_kind(manifests, "ConfigMap")
        }
        (self.deployment,) = of_kind(manifests, "Deployment")
        self.spec: dict[str, Any] = self.deployment["spec"]["template"]["spec"]
        (self.container,) = self.spec["containers"]

    def settings(self, folder: Path, monkeypatch: pytest.MonkeyPatch) -> Any:
        """Return the settings of its command, in a folder with its configuration and with its variables."""
        for source in self._volume("configuration")["projected"]["sources"]:
            data = self.maps[source["configMap"]["name"]]
            for item in source["configMap"].get("items", [{"key": key, "path": key} for key in data]):
                path = folder / item["path"]
                path.parent.mkdir(exist_ok=True)
                path.write_text(data[item["key"]])
        for variable in self.container["env"]:
            assert variable["valueFrom"]["secretKeyRef"].keys() == {"name", "key"}
            monkeypatch.setenv(variable["name"], "hush")
        monkeypatch.chdir(folder)
        run, *options = self.container["args"]
        assert run == "run"
        return parse(options)

    def _volume(self, name: str) -> dict[str, Any]:
        (found,) = [each for each in self.spec["volumes"] if each["name"] == name]
        return dict(found)


def validate(path: Path) -> None:
    """Check manifests against the schemas of Kubernetes."""
    program = Path(sys.executable).with_name("kubernetes-validate")
    done = subprocess.run([program, "--strict", path], capture_output=True, text=True)
    assert done.returncode == 0, done.stdout + done.stderr
    assert done.stdout.count("passed") + done.stderr.count("passed") >= 2


@pytest.fixture(scope="module")
def pod() -> Pod:
    return Pod(MANIFESTS.read_text())


def test_the_manifests_are_valid() -> None:
    validate(MANIFESTS)


def test_its_options_are_accepted(pod: Pod, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    settings = pod.settings(tmp_path, monkeypatch)
    (route,) = load_routes(settings)
    assert settings.aep.client_secret == "env:AEP_CLIENT_SECRET"
    assert settings.dead_letter.topic
    assert not settings.dead_letter.path
    assert route.schema_id
    assert not route.schema_file


def test_probes_ask_the_port_of_the_metrics(pod: Pod, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    settings = pod.settings(tmp_path, monkeypatch)
    (port,) = pod.container["ports"]
    assert port["containerPort"] == settings.general.metrics_port
    asked = {name: pod.container[f"{name}Probe"]["httpGet"] for name in ("startup", "liveness", "readiness")}
    assert {probe["port"] for probe in asked.values()} == {port["name"]}
    assert [probe["path"] for probe in asked.values()] == ["/health", "/health", "/ready"]
    annotations = pod.deployment["spec"]["template"]["metadata"]["annotations"]
    assert annotations["prometheus.io/port"] == str(settings.general.metrics_port)


def test_a_pod_gets_longer_to_end_than_the_run_takes(pod: Pod, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    settings = pod.settings(tmp_path, monkeypatch)
    assert pod.spec["terminationGracePeriodSeconds"] >= settings.general.shutdown_seconds + 10


def test_it_has_no_rights(pod: Pod) -> None:
    user, group = of(stages()[-1], "USER")[0].split(":")
    assert pod.spec["securityContext"] == {
        "runAsNonRoot": True,
        "runAsUser": int(user),
        "runAsGroup": int(group),
        "seccompProfile": {"type": "RuntimeDefault"},
    }
    assert pod.container["securityContext"] == {
        "allowPrivilegeEscalation": False,
        "readOnlyRootFilesystem": True,
        "capabilities": {"drop": ["ALL"]},
    }
    assert pod.spec["automountServiceAccountToken"] is False
    assert {mount["mountPath"] for mount in pod.container["volumeMounts"]} == {"/etc/beam-aep", "/tmp"}
    assert pod.container["resources"]["limits"]["memory"]


def test_no_pod_is_more_than_there_were(pod: Pod) -> None:
    """A surplus one would take partitions from the others, which begin their bundles again."""
    assert pod.deployment["spec"]["strategy"]["rollingUpdate"] == {"maxSurge": 0, "maxUnavailable": 1}


def test_nodes_that_are_drained_take_one_pod_at_a_time(pod: Pod) -> None:
    (budget,) = of_kind(MANIFESTS.read_text(), "PodDisruptionBudget")
    assert budget["spec"]["selector"] == pod.deployment["spec"]["selector"]
    assert budget["spec"]["maxUnavailable"] == 1  # not minAvailable, with which a single pod could not be moved at all


@contextmanager
def _helm() -> Iterator[Path]:
    yield downloads.helm()


@pytest.fixture(scope="module")
def helm() -> Iterator[Path]:
    """The program, fetched if it is not there yet."""
    with require(_helm()) as program:
        yield program


def rendered(helm: Path, *arguments: str) -> str:
    done = subprocess.run([helm, "template", "beam-aep", CHART, *arguments], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    return done.stdout


@pytest.mark.slow
def test_the_manifests_are_what_the_chart_renders(helm: Path) -> None:
    subprocess.run([helm, "lint", "--strict", CHART], check=True)
    head, separator, manifests = MANIFESTS.read_text().partition("---\n")
    assert "helm template beam-aep deploy/helm/beam-aep" in head
    assert separator + manifests == rendered(helm)


@pytest.mark.slow
def test_the_chart_takes_the_files_of_a_project(helm: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    schemas = [
        f"--set-file=schemas.{path.name.replace('.', chr(92) + '.')}={path}"
        for path in sorted(SCHEMAS.glob("loyalty-*.schema.json"))
    ]
    project = ROOT / "samples" / "project"
    files = [f"--set-file=options={project / 'aep.yaml'}", f"--set-file=routes={project / 'routes.yaml'}", *schemas]
    more = "--set=arguments={run,--kafka_bootstrap_servers=kafka:9092}"
    manifests = rendered(helm, *files, more, "--set=shutdownSeconds=60", "--set=metricsPort=9000", "--set=replicas=4")
    (tmp_path / "rendered.yaml").write_text(manifests)
    validate(tmp_path / "rendered.yaml")
    pod = Pod(manifests)
    settings = pod.settings(tmp_path, monkeypatch)
    assert {route.name for route in load_routes(settings)} == {"profiles", "events"}
    for path in SCHEMAS.glob("loyalty-*.schema.json"):
        assert (tmp_path / "schemas" / path.name).read_bytes() == path.read_bytes()
    assert (settings.general.shutdown_seconds, settings.general.metrics_port) == (60, 9000)
    assert pod.spec["terminationGracePeriodSeconds"] == 75
    assert pod.deployment["spec"]["replicas"] == 4


@pytest.mark.slow
def test_values_that_look_like_numbers_stay_text(helm: Path, tmp_path: Path) -> None:
    secret = "--set=secrets[0].variable=A,secrets[0].secret=s,secrets[0].key=123"
    manifests = rendered(helm, "--set=arguments={run,--processes,2}", secret)
    (tmp_path / "rendered.yaml").write_text(manifests)
    validate(tmp_path / "rendered.yaml")
    assert Pod(manifests).container["args"][:3] == ["run", "--processes", "2"]


@pytest.mark.slow
def test_pods_are_replaced_when_their_configuration_changes(helm: Path) -> None:
    def checksum(*arguments: str) -> str:
        template = Pod(rendered(helm, *arguments)).deployment["spec"]["template"]
        return str(template["metadata"]["annotations"]["checksum/configuration"])

    changes = ((), ("--set=options=a: 1",), ("--set=routes=routes: []",), ("--set=schemas.a=b",))
    assert len({checksum(*each) for each in changes}) == len(changes)


@pytest.mark.slow
def test_a_pod_monitor_scrapes_the_pods_as_the_job_of_the_alerts(helm: Path) -> None:
    assert of_kind(rendered(helm), "PodMonitor") == []
    manifests = rendered(helm, "--set=podMonitor=true", "--set=podMonitorLabels.release=stack")
    (monitor,) = of_kind(manifests, "PodMonitor")
    pod = Pod(manifests)
    labels = pod.deployment["spec"]["template"]["metadata"]["labels"]
    assert monitor["metadata"]["labels"]["release"] == "stack"
    assert monitor["spec"]["selector"] == pod.deployment["spec"]["selector"]
    assert [each["port"] for each in monitor["spec"]["podMetricsEndpoints"]] == [pod.container["ports"][0]["name"]]
    (job,) = yaml.safe_load((ROOT / "deploy" / "prometheus" / "prometheus.yaml").read_text())["scrape_configs"]
    assert labels[monitor["spec"]["jobLabel"]] == job["job_name"]
