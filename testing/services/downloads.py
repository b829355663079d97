"""Fetches what the services run from, once, into a cache folder that all checkouts share.

The folder is `beam-aep/<part>-<version>` in `$BEAM_AEP_CACHE`, else in `$XDG_CACHE_HOME`, else in `~/.cache`.
Jars come from Maven Central through `mvn`, Flink itself, aepp and the packages for Dataflow from PyPI through `pip`,
Toxiproxy, Helm and Prism through `go`, kinesis-local through `npm`, promtool through `apt-get`.
"""

from __future__ import annotations

import fcntl
import hashlib
import os
import re
import shutil
import subprocess
import sys
import tarfile
import tempfile
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from importlib import metadata
from pathlib import Path
from xml.etree import ElementTree

import orjson

from testing.services.process import ServiceUnavailable

POMS = Path(__file__).parent / "maven"
KINESIS_LOCAL = Path(__file__).parent / "node" / "kinesis-local"
AEPP_LOCK = Path(__file__).parent / "python" / "aepp.lock"
DATAFLOW_LOCK = Path(__file__).parents[2] / "deploy" / "dataflow" / "requirements.lock"
FLINK_VERSION = "1.19.3"
TOXIPROXY_VERSION = "2.5.0"
HELM_VERSION = "3.22.0"
MIN_JAVA = 17
FETCH_TIMEOUT_SECONDS = 900


def java(*, compiler: bool = False) -> str:
    """Return path of the `java` command: `$JAVA_HOME` first, then `PATH`.

    Raises:
        ServiceUnavailable: There is none, it is older than Java 17, or it is without the `compiler` asked for.
    """
    home = os.environ.get("JAVA_HOME")
    command = f"{home}/bin/java" if home else shutil.which("java")
    if not command or not os.access(command, os.X_OK):
        raise ServiceUnavailable(f"no java found: install Java {MIN_JAVA} or later, or set JAVA_HOME")
    answer = subprocess.run([command, "-version"], capture_output=True, text=True, check=False).stderr
    version = re.search(r'version "(\d+)', answer)
    if not version or int(version[1]) < MIN_JAVA:
        first_line = answer.partition("\n")[0]
        raise ServiceUnavailable(f"{command} says {first_line!r}: Java {MIN_JAVA} or later is needed")
    if compiler and not Path(command).resolve().with_name("javac").exists():
        raise ServiceUnavailable(f"{command} is without javac beside it: install a JDK, not a JRE")
    return command


def kafka_jars() -> Path:
    """Return folder with the jars of an Apache Kafka broker."""
    return _maven_jars("kafka", "Apache Kafka, 45 MB")


def kafka_connect_jars() -> Path:
    """Return folder with the jars of a Kafka Connect worker."""
    return _maven_jars("kafka-connect", "Kafka Connect, 33 MB")


def flink_job_server_jars() -> Path:
    """Return folder with the jars of Beam's job server for Flink."""
    return _maven_jars("flink-job-server", "Beam's job server for Flink, 160 MB")


def flink_jars() -> Path:
    """Return folder with the jars of Flink itself."""

    def fetch(folder: Path) -> None:
        requirement = f"apache-flink-libraries=={FLINK_VERSION}"
        with tempfile.TemporaryDirectory(dir=folder.parent) as download:
            source_only = ["--no-deps", "--no-binary", ":all:"]
            _run([sys.executable, "-m", "pip", "download", *source_only, "--dest", download, requirement])
            (archive,) = Path(download).glob("*.tar.gz")
            with tarfile.open(archive) as tar:
                for member in tar:
                    if member.isfile() and re.search(r"/deps/lib/[^/]+\.jar$", member.name):
                        member.name = Path(member.name).name
                        tar.extract(member, folder, filter="data")

    return _fetch_once(f"flink-{FLINK_VERSION}", "Apache Flink, 230 MB", fetch)


def toxiproxy() -> Path:
    package = f"github.com/Shopify/toxiproxy/v2/cmd/server@v{TOXIPROXY_VERSION}"
    return _go_program(f"toxiproxy-{TOXIPROXY_VERSION}", "Toxiproxy, 15 MB", package) / "server"


def helm() -> Path:
    """Return the path of Helm, which renders charts; Go takes minutes to build it."""
    package = f"helm.sh/helm/v3/cmd/helm@v{HELM_VERSION}"
    return _go_program(f"helm-{HELM_VERSION}", "Helm, 110 MB", package) / "helm"


def prism() -> Path:
    """Return the path of Prism, Beam's portable runner for one machine, of the Beam that is installed; Go takes minutes
    to build it.
    """
    beam = metadata.version("apache-beam")
    package = f"github.com/apache/beam/sdks/v2/go/cmd/prism@v{beam}"
    return _go_program(f"prism-{beam}", "Prism, 65 MB", package) / "prism"


def promtool() -> Path:
    """Return the path of promtool: that of the machine, or of the Debian package `prometheus`."""
    found = shutil.which("promtool")
    if found:
        return Path(found)

    def fetch(folder: Path) -> None:
        if not shutil.which("apt-get") or not shutil.which("dpkg-deb"):
            raise ServiceUnavailable("no promtool found: install Prometheus")
        with tempfile.TemporaryDirectory(dir=folder.parent) as download:
            _run(["apt-get", "download", "prometheus"], folder=download)
            (package,) = Path(download).glob("prometheus_*.deb")
            _run(["dpkg-deb", "--extract", str(package), str(folder)])

    return _fetch_once("promtool", "promtool, 90 MB", fetch) / "usr" / "bin" / "promtool"


def prometheus() -> Path:
    """Return the path of Prometheus, which comes with promtool."""
    path = promtool().with_name("prometheus")
    if not path.exists():
        raise ServiceUnavailable(f"no {path.name} beside {promtool()}: install Prometheus")
    return path


def aepp() -> Path:
    """Return folder to import `aepp` from, the public Python client of AEP, with what it needs beside
    requirements.lock.
    """
    return _python_packages("aepp", "aepp with pandas, 85 MB", AEPP_LOCK, "--only-binary", ":all:")


def dataflow_packages() -> Path:
    """Return folder to import what the image for Dataflow holds beside this project."""
    return _python_packages("dataflow", "the packages of the image for Dataflow, 650 MB", DATAFLOW_LOCK)


def zjsonpatch_jars() -> Path:
    """Return folder with the jars of zjsonpatch, as Adobe's JsonPatchTransform has it."""
    return _maven_jars("zjsonpatch", "zjsonpatch with Jackson, 2 MB")


def kinesis_local() -> Path:
    """Return the path of kinesis-local, a stand-in for Kinesis by others that runs on Node."""

    def fetch(folder: Path) -> None:
        npm = shutil.which("npm")
        if not npm or not shutil.which("node"):
            raise ServiceUnavailable("no node and npm found: install Node.js")
        for name in ("package.json", "package-lock.json"):
            shutil.copy(KINESIS_LOCAL / name, folder)
        _run([npm, "ci", "--ignore-scripts", "--no-audit", "--no-fund", "--prefix", str(folder)])

    version = orjson.loads((KINESIS_LOCAL / "package.json").read_bytes())["dependencies"]["kinesis-local"]
    folder = _fetch_once(f"kinesis-local-{version}", "kinesis-local, 16 MB", fetch)
    return folder / "node_modules" / "kinesis-local" / "main.js"


def _python_packages(name: str, what: str, lock: Path, *more: str) -> Path:
    def fetch(folder: Path) -> None:
        as_locked = ["--no-deps", "--require-hashes", *more]
        _run([sys.executable, "-m", "pip", "install", *as_locked, "--target", str(folder), "-r", str(lock)])

    pins = hashlib.sha256(lock.read_bytes()).hexdigest()[:8]
    return _fetch_once(f"{name}-{pins}-{sys.implementation.cache_tag}", what, fetch)


def _go_program(name: str, what: str, package: str) -> Path:
    def fetch(folder: Path) -> None:
        go = shutil.which("go")
        if not go:
            raise ServiceUnavailable("no go found: install Go")
        _run([go, "install", package], env={"GOBIN": str(folder)})

    return _fetch_once(name, what, fetch)


def _maven_jars(part: str, what: str) -> Path:
    pom = POMS / f"{part}.xml"
    version = ElementTree.parse(pom).getroot().findtext("{*}version")

    def fetch(folder: Path) -> None:
        mvn = shutil.which("mvn")
        if not mvn:
            raise ServiceUnavailable("no mvn found: install Apache Maven")
        goal = ["dependency:copy-dependencies", "-DincludeScope=runtime", f"-DoutputDirectory={folder}"]
        _run([mvn, "--batch-mode", "--quiet", "--file", str(pom), *goal])

    return _fetch_once(f"{part}-{version}", what, fetch)


def _fetch_once(name: str, what: str, fetch: Callable[[Path], None]) -> Path:
    """Return folder `name` of the cache; `fetch` fills it if it is not there yet.

    The folder gets its name only when it is complete, and a lock makes a second process wait for the first.
    """
    base = os.environ.get("BEAM_AEP_CACHE") or os.environ.get("XDG_CACHE_HOME") or "~/.cache"
    cache = Path(base).expanduser().absolute() / "beam-aep"
    folder = cache / name
    if folder.is_dir():
        return folder
    cache.mkdir(parents=True, exist_ok=True)
    with _locked(cache / f"{name}.lock"):
        if not folder.is_dir():
            sys.stderr.write(f"fetching {what}, once, into {folder}: the tests run against the real thing\n")
            with tempfile.TemporaryDirectory(prefix=f"{name}.part-", dir=cache) as work:
                content = Path(work, "content")
                content.mkdir()
                fetch(content)
                if not any(content.iterdir()):
                    raise ServiceUnavailable(f"{what}: nothing came although the download did not fail")
                content.rename(folder)
    return folder


@contextmanager
def _locked(path: Path) -> Iterator[None]:
    with path.open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield


def _run(command: Sequence[str], env: Mapping[str, str] | None = None, folder: str | None = None) -> None:
    """Run a download in a folder, with `env` added to the environment; its last lines are in the error."""
    try:
        done = subprocess.run(
            command,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            check=False,
            timeout=FETCH_TIMEOUT_SECONDS,
            env={**os.environ, **(env or {})},
            cwd=folder,
        )
    except subprocess.TimeoutExpired as error:
        raise ServiceUnavailable(
            f"{command[0]} was not done after {FETCH_TIMEOUT_SECONDS} s: is the network up?"
        ) from error
    if done.returncode:
        end = "\n".join(done.stdout.splitlines()[-10:])
        raise ServiceUnavailable(f"{' '.join(command)} failed: is the network up?\n{end}")
