"""The services that all tests share, and how tests are dealt to processes.

A real broker and a Flink cluster are started once, by the first test that needs them. A test that stops, freezes or
configures its broker takes `own_broker` instead, of which there is one at a time.
"""

from __future__ import annotations

import logging
import os
import signal
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from hypothesis import settings
from xdist.remote import Producer
from xdist.scheduler import LoadFileScheduling

from testing.services.emulator import Emulator
from testing.services.flink import FlinkCluster
from testing.services.kafka import KafkaBroker, RunningBroker
from testing.services.kinesis import Kinesis
from testing.services.prometheus import Promtool
from testing.services.pytest_support import require
from testing.services.sharing import SharedServices

# Hypothesis's own deadline, 200 ms for an example, is one that a busy machine breaks.
settings.register_profile("no deadline", deadline=None)
settings.load_profile("no deadline")

# Tests signal what they start, which would ignore what this process was started to ignore: SIGINT, by a shell that
# runs it in the background, and SIGHUP, by nohup. What it handles instead, they begin with as usual.
signal.signal(signal.SIGINT, signal.default_int_handler)
if signal.getsignal(signal.SIGHUP) == signal.SIG_IGN:
    signal.signal(signal.SIGHUP, lambda *_: None)


class _Scheduling(LoadFileScheduling):
    """Deals whole files to the processes, and those about Flink to the same one: there is one cluster."""

    def _split_scope(self, nodeid: str) -> str:
        file = str(super()._split_scope(nodeid))
        return "flink" if Path(file).name.startswith("test_flink") else file


@pytest.hookimpl(optionalhook=True)
def pytest_xdist_make_scheduler(config: pytest.Config, log: Producer) -> _Scheduling | None:
    """Take the place of `--dist loadfile`."""
    return _Scheduling(config, log) if config.getoption("dist") == "loadfile" else None


@pytest.fixture(autouse=True)
def _no_levels_left() -> Iterator[None]:
    """Forget what the readers of a test have reported: many tests read a source without a run that would close it,
    and a broker that has ended is a silent one to them.
    """
    yield
    metrics = sys.modules.get("transforms.worker.metrics")  # loaded by the tests that read: it loads Beam
    for name, part in list(metrics._watched) if metrics else []:
        if metrics and name in (metrics.LAG, metrics.LAG_MILLISECONDS, metrics.KAFKA_SILENCE, metrics.UNCOMMITTED):
            metrics.unwatch(name, part)


@pytest.fixture(autouse=True)
def _no_logging_left() -> Iterator[None]:
    """Log as before again: a run in this process sets up logging, and later tests would find more in it than else."""
    root = logging.getLogger()
    level, handlers = root.level, root.handlers[:]
    yield
    root.setLevel(level)
    for handler in root.handlers[:]:
        if handler not in handlers:
            root.removeHandler(handler)


@pytest.fixture(scope="session")
def shared_services(tmp_path_factory: pytest.TempPathFactory, pytestconfig: pytest.Config) -> SharedServices:
    """The services that this session's processes share; they end when the last of these has run its tests."""
    folder = tmp_path_factory.getbasetemp()
    services = SharedServices(folder.parent if "PYTEST_XDIST_WORKER" in os.environ else folder)
    pytestconfig.add_cleanup(services.close)  # not at the end of the last test, whose time-out would count
    return services


@contextmanager
def _started_broker() -> Iterator[str]:
    with require(KafkaBroker(session_ms=60_000)) as running:
        yield running.bootstrap_servers


@pytest.fixture(scope="session")
def broker(shared_services: SharedServices) -> KafkaBroker:
    """The broker of all tests: give topics and groups names that no other test has, and leave the broker as it is."""
    return RunningBroker(shared_services.address("kafka", _started_broker))


@pytest.fixture
def broker_turn(shared_services: SharedServices) -> Iterator[None]:
    """The turn to have a broker beside the shared one, also for a program that starts one itself."""
    with shared_services.one_at_a_time("own_broker"):
        yield


@pytest.fixture
def own_broker(broker_turn: None) -> Iterator[KafkaBroker]:
    """A broker for a test that stops, kills, freezes or configures it."""
    with require(KafkaBroker()) as running:
        yield running


@pytest.fixture(scope="session")
def flink_cluster() -> Iterator[FlinkCluster]:
    """The cluster behind `flink`."""
    with require(FlinkCluster(slots=2)) as running:
        yield running


@pytest.fixture
def flink(flink_cluster: FlinkCluster) -> Iterator[FlinkCluster]:
    """The Flink cluster of all tests that need one, which are in files called `test_flink*.py`.

    It shows the jobs of earlier tests too, the newest last. What a test leaves running is cancelled.
    """
    yield flink_cluster
    flink_cluster.clear()


@pytest.fixture(scope="session")
def promtool() -> Iterator[Promtool]:
    """Prometheus' own checker."""
    with require(Promtool()) as found:
        yield found


@pytest.fixture(scope="session")
def emulator() -> Iterator[Emulator]:
    """The emulator of this process's tests: each makes inlets or an organisation of its own, and clears its faults."""
    with Emulator() as running:
        yield running


@pytest.fixture(scope="session")
def running_kinesis() -> Iterator[Kinesis]:
    """The server behind ``kinesis``."""
    with Kinesis() as running:
        yield running


@pytest.fixture
def kinesis(running_kinesis: Kinesis) -> Iterator[Kinesis]:
    """The local Kinesis of this process's tests: each makes streams of its own; its switches are cleared at the end."""
    yield running_kinesis
    running_kinesis.clear_switches()
