"""A real Flink cluster on 127.0.0.1 with Beam's job server in front: job manager, task managers, job server."""

from __future__ import annotations

import tempfile
from collections.abc import Mapping
from contextlib import suppress
from functools import partial
from pathlib import Path
from types import TracebackType
from typing import Any

import requests

from testing.services import downloads
from testing.services.process import PATIENCE_SECONDS, ServiceError, ServiceProcess, free_port, is_listening, wait_for

JOB_SERVER = Path(__file__).parent / "JobServer.java"
HEAP_MB = 320
FRAMEWORK_HEAP_MB = 64
TASK_MANAGER_ID = "task-manager-{}"
ENDED = {"FINISHED", "CANCELED", "FAILED"}
QUICK_START = ["-XX:+UseSerialGC", "-XX:TieredStopAtLevel=1"]  # halves the time of the first job

CONFIG = """\
jobmanager.rpc.address: 127.0.0.1
jobmanager.rpc.port: {rpc_port}
jobmanager.bind-host: 127.0.0.1
taskmanager.host: 127.0.0.1
taskmanager.bind-host: 127.0.0.1
rest.address: 127.0.0.1
rest.bind-address: 127.0.0.1
rest.port: {rest_port}
state.backend.type: hashmap
state.checkpoints.dir: file://{folder}/checkpoints
io.tmp.dirs: {folder}/tmp
heartbeat.interval: 1000
heartbeat.timeout: 15000
restart-strategy.type: fixed-delay
restart-strategy.fixed-delay.attempts: 5
restart-strategy.fixed-delay.delay: 1 s
"""

# A task manager started by its main class computes nothing by itself: it wants every figure.
TASK_MANAGER_MEMORY = {
    "taskmanager.cpu.cores": "2",
    "taskmanager.memory.framework.heap.size": f"{FRAMEWORK_HEAP_MB}m",
    "taskmanager.memory.task.off-heap.size": "0m",
    "taskmanager.memory.framework.off-heap.size": "128m",
    "taskmanager.memory.managed.size": "64m",
    "taskmanager.memory.network.min": "64m",
    "taskmanager.memory.network.max": "64m",
    "taskmanager.memory.jvm-metaspace.size": "256m",
    "taskmanager.memory.jvm-overhead.min": "64m",
    "taskmanager.memory.jvm-overhead.max": "64m",
}

# Flink 1.19 reaches into the JDK; its own scripts open the same packages on Java 17.
OPEN_PACKAGES = [
    "java.base/java.lang",
    "java.base/java.lang.invoke",
    "java.base/java.lang.reflect",
    "java.base/java.net",
    "java.base/java.nio",
    "java.base/java.text",
    "java.base/java.time",
    "java.base/java.util",
    "java.base/java.util.concurrent",
    "java.base/java.util.concurrent.atomic",
    "java.base/java.util.concurrent.locks",
    "java.base/sun.net.util",
    "java.base/sun.nio.ch",
]

# Jobs outlive their job manager: a new one finds them where the one before has written them down.
HIGH_AVAILABILITY = """\
high-availability.type: zookeeper
high-availability.zookeeper.quorum: 127.0.0.1:{port}
high-availability.storageDir: file://{folder}/high-availability
"""

ZOOKEEPER = """\
clientPortAddress=127.0.0.1
clientPort={port}
dataDir={folder}/zookeeper
tickTime=2000
initLimit=10
syncLimit=5
admin.enableServer=false
"""

LOG4J = """\
rootLogger.level = INFO
rootLogger.appenderRef.console.ref = Console
appender.console.name = Console
appender.console.type = CONSOLE
appender.console.layout.type = PatternLayout
appender.console.layout.pattern = %d{HH:mm:ss,SSS} %-5p %c{1} %x - %m%n
"""


class FlinkCluster:
    """A session cluster and a job server while its `with` block lasts.

    Pipelines are submitted with `--runner=PortableRunner --job_endpoint=<job_endpoint>`.
    """

    def __init__(
        self,
        task_managers: int = 1,
        slots: int = 2,
        settings: Mapping[str, str] | None = None,
        *,
        high_availability: bool = False,
    ) -> None:
        """`slots` are those of one task manager: a job's parallelism needs as many in all. `settings` are keys of
        Flink's configuration, besides those of every cluster or instead of them. With `high_availability` jobs
        survive `restart_job_manager`, by means of a ZooKeeper.
        """
        self._count = task_managers
        self._settings = settings or {}
        self._slots = slots
        self._temporary = tempfile.TemporaryDirectory(prefix="flink-")
        self._folder = Path(self._temporary.name)
        self._rest_port = free_port()
        self._job_port = free_port()
        self._zookeeper_port = free_port() if high_availability else None
        self._job_manager: ServiceProcess | None = None
        self._others: list[ServiceProcess] = []
        self.task_managers: list[ServiceProcess] = []
        self.rest_url = f"http://127.0.0.1:{self._rest_port}"
        self.job_endpoint = f"127.0.0.1:{self._job_port}"

    def __enter__(self) -> FlinkCluster:
        self._java = downloads.java(compiler=True)
        self._beam_jars = f"{downloads.flink_job_server_jars()}/*"
        self._flink_jars = f"{downloads.flink_jars()}/*"
        self._write_config()
        try:
            self._start()
        except BaseException:
            self.__exit__(None, None, None)
            raise
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        for process in (*self.task_managers, self._job_manager, *self._others):
            if process is not None:
                process.kill()
        self._temporary.cleanup()

    def options(self) -> dict[str, Any]:
        """Return options of a pipeline that runs here, with its worker in the process that submits it."""
        return {
            "runner": "PortableRunner",
            "job_endpoint": self.job_endpoint,
            "environment_type": "LOOPBACK",
            "streaming": True,
            "parallelism": 2,
            "checkpointing_interval": 1000,
            "finish_bundle_before_checkpointing": True,
        }

    def start_task_manager(self, heap_mb: int = HEAP_MB) -> ServiceProcess:
        """Add a task manager and return it when its slots can be used; it takes a heap of more than 64 MB to start."""
        process = self._spawn_task_manager(heap_mb)
        self._await_task_manager(process)
        return process

    def kill_task_manager(self, index: int = -1) -> None:
        """Crash the task manager that was started as number `index`, from 0; by default the newest."""
        self.task_managers[index].kill()

    def restart_job_manager(self) -> None:
        """Crash the job manager and start it again; return when it has its task managers back.

        Without high availability it has forgotten its jobs; with it they go on from their last checkpoints.
        """
        assert self._job_manager is not None, "the cluster was not started"
        self._job_manager.kill()
        self._spawn_job_manager().wait_until_ready(partial(is_listening, self._rest_port), PATIENCE_SECONDS)
        for process in self.task_managers:
            if process.running:
                self._await_task_manager(process)

    def jobs(self) -> list[dict[str, Any]]:
        """Return all jobs that the cluster knows, newest last: `jid`, `name`, `state`, `start-time` and more."""
        return sorted(self._get("/jobs/overview")["jobs"], key=lambda job: job["start-time"])

    def clear(self) -> None:
        """Cancel the jobs that a test has left, and sees to it that there is a task manager."""
        for job in self.jobs():
            if job["state"] not in ENDED:
                with suppress(requests.HTTPError):  # it has just ended by itself
                    self._request("PATCH", f"/jobs/{job['jid']}?mode=cancel")
        wait_for(lambda: {job["state"] for job in self.jobs()} <= ENDED, PATIENCE_SECONDS, "the jobs to end")
        if not any(process.running for process in self.task_managers):
            self.start_task_manager()

    def cancel(self, job_id: str) -> None:
        """Cancel a job and return when it is cancelled."""
        self._request("PATCH", f"/jobs/{job_id}?mode=cancel")
        wait_for(lambda: self._get(f"/jobs/{job_id}")["state"] == "CANCELED", PATIENCE_SECONDS, "the job to end")

    def savepoint(self, job_id: str, *, cancel: bool = False) -> str:
        """Take a savepoint, cancel the job with it if asked to, and return its path."""
        return self._savepoint(job_id, "savepoints", {"cancel-job": cancel})

    def stop(self, job_id: str) -> str:
        """Stop a job with a savepoint and return its path: the job reads nothing after it."""
        return self._savepoint(job_id, "stop", {"drain": False})

    def _savepoint(self, job_id: str, how: str, options: dict[str, bool]) -> str:
        folder = "targetDirectory" if how == "stop" else "target-directory"
        body = {folder: f"file://{self._folder}/savepoints", **options}
        trigger = self._request("POST", f"/jobs/{job_id}/{how}", body)["request-id"]

        def outcome() -> Any:
            answer = self._get(f"/jobs/{job_id}/savepoints/{trigger}")
            return answer["status"]["id"] == "COMPLETED" and answer["operation"]

        operation = wait_for(outcome, PATIENCE_SECONDS, "the savepoint")
        if "location" not in operation:
            raise ServiceError(f"the savepoint failed: {operation}")
        return str(operation["location"])

    def checkpoints(self, job_id: str) -> dict[str, Any]:
        """Return Flink's checkpoint statistics of a job: `counts`, `latest`, `history` and more."""
        return self._get(f"/jobs/{job_id}/checkpoints")

    def failure(self, job_id: str) -> str:
        """Return why a job failed last, also one that was restarted after it; empty when it never did."""
        entries = self._get(f"/jobs/{job_id}/exceptions")["exceptionHistory"]["entries"]
        return str(entries[0]["exceptionName"]) if entries else ""

    def _start(self) -> None:
        if self._zookeeper_port:
            self._start_zookeeper(self._zookeeper_port)
        job_manager = self._spawn_job_manager()
        job_server = [
            *[self._java, "-Xmx256m", *QUICK_START, "-Dorg.slf4j.simpleLogger.showDateTime=true"],
            *["-cp", self._beam_jars, str(JOB_SERVER)],
            f"--flink-master=127.0.0.1:{self._rest_port}",
            "--job-host=127.0.0.1",
            f"--job-port={self._job_port}",
            f"--artifact-port={free_port()}",
            f"--expansion-port={free_port()}",
            f"--artifacts-dir={self._folder}/artifacts",
        ]
        server = ServiceProcess("Beam job server", job_server, self._folder / "job-server.log")
        self._others.append(server)
        for _ in range(self._count):
            self._spawn_task_manager()
        job_manager.wait_until_ready(partial(is_listening, self._rest_port), PATIENCE_SECONDS)
        server.wait_until_ready(partial(is_listening, self._job_port), PATIENCE_SECONDS)
        for process in self.task_managers:
            self._await_task_manager(process)

    def _start_zookeeper(self, port: int) -> None:
        file = self._folder / "conf" / "zoo.cfg"
        file.write_text(ZOOKEEPER.format(port=port, folder=self._folder))
        command = [*self._flink("zookeeper.FlinkZooKeeperQuorumPeer"), "--zkConfigFile", str(file), "--peerId", "1"]
        zookeeper = ServiceProcess("ZooKeeper", command, self._folder / "zookeeper.log")
        self._others.append(zookeeper)
        zookeeper.wait_until_ready(partial(is_listening, port), PATIENCE_SECONDS)

    def _spawn_job_manager(self) -> ServiceProcess:
        command = self._flink("entrypoint.StandaloneSessionClusterEntrypoint")
        self._job_manager = ServiceProcess("Flink job manager", command, self._folder / "job-manager.log")
        return self._job_manager

    def _spawn_task_manager(self, heap_mb: int = HEAP_MB) -> ServiceProcess:
        number = len(self.task_managers)
        settings = TASK_MANAGER_MEMORY | {
            "taskmanager.memory.task.heap.size": f"{heap_mb - FRAMEWORK_HEAP_MB}m",
            "taskmanager.numberOfTaskSlots": str(self._slots),
            "taskmanager.resource-id": TASK_MANAGER_ID.format(number),
        }
        definitions = [part for key, value in settings.items() for part in ("-D", f"{key}={value}")]
        process = ServiceProcess(
            f"Flink task manager {number}",
            [*self._flink("taskexecutor.TaskManagerRunner", heap_mb), *definitions],
            self._folder / f"task-manager-{number}.log",
        )
        self.task_managers.append(process)
        return process

    def _await_task_manager(self, process: ServiceProcess) -> None:
        name = TASK_MANAGER_ID.format(self.task_managers.index(process))

        def registered() -> bool:
            try:
                return name in {each["id"] for each in self._get("/taskmanagers")["taskmanagers"]}
            except requests.RequestException:
                return False  # the dispatcher comes up a little after its port

        process.wait_until_ready(registered, PATIENCE_SECONDS)

    def _flink(self, main_class: str, heap_mb: int = HEAP_MB) -> list[str]:
        opens = [part for package in OPEN_PACKAGES for part in ("--add-opens", f"{package}=ALL-UNNAMED")]
        return [
            *[self._java, f"-Xmx{heap_mb}m", "-XX:MaxMetaspaceSize=256m", *QUICK_START, *opens],
            f"-Djava.io.tmpdir={self._folder}/tmp",
            f"-Dlog4j.configurationFile={self._folder}/conf/log4j.properties",
            *["-cp", f"{self._flink_jars}:{self._beam_jars}", f"org.apache.flink.runtime.{main_class}"],
            *["--configDir", f"{self._folder}/conf"],
        ]

    def _write_config(self) -> None:
        for name in ("conf", "tmp", "checkpoints", "savepoints"):
            (self._folder / name).mkdir()
        config = CONFIG.format(folder=self._folder, rest_port=self._rest_port, rpc_port=free_port())
        if self._zookeeper_port:
            config += HIGH_AVAILABILITY.format(folder=self._folder, port=self._zookeeper_port)
        settings = {**dict(line.split(": ", 1) for line in config.splitlines()), **self._settings}
        lines = [f"{key}: {value}\n" for key, value in settings.items()]
        (self._folder / "conf" / "flink-conf.yaml").write_text("".join(lines))
        (self._folder / "conf" / "log4j.properties").write_text(LOG4J)

    def _get(self, path: str) -> Any:
        return self._request("GET", path)

    def _request(self, method: str, path: str, body: object = None) -> Any:
        response = requests.request(method, self.rest_url + path, json=body, timeout=PATIENCE_SECONDS)
        response.raise_for_status()
        return response.json()
