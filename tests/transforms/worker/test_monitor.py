"""The page of a process: what it exports, and whether it reads, as Prometheus and Kubernetes ask for it."""

from __future__ import annotations

import os
import socket
import subprocess
import sys
import threading
from collections import Counter
from collections.abc import Iterable, Iterator
from contextlib import closing
from pathlib import Path

import pytest
import requests
from prometheus_client import CollectorRegistry, generate_latest
from prometheus_client.core import Metric
from prometheus_client.openmetrics.parser import text_string_to_metric_families as parse_open_metrics
from prometheus_client.parser import text_string_to_metric_families

from aep.errors import ConfigurationError
from testing.services.process import PATIENCE_SECONDS
from testing.services.prometheus import Promtool
from transforms.worker import metrics, process
from transforms.worker.exported import EXPORTED, IN_FLIGHT, LAG_RECORDS, LAST_POLL, describe
from transforms.worker.exposition import Snapshot, registry, snapshot
from transforms.worker.latency import Accepted, count_latencies, measure
from transforms.worker.monitor import Monitor, open_monitor, open_monitor_of_worker, readiness

NOW = 1_796_000_000_000
ROOT = Path(__file__).parents[3]


@pytest.fixture(autouse=True)
def nothing_counted() -> Iterator[None]:
    metrics.reset()
    process.start_run()
    yield
    metrics.reset()
    process.start_run()


@pytest.fixture
def page() -> Iterator[str]:
    """The address of a monitor of this process."""
    with closing(Monitor(0)) as monitor:
        yield f"http://127.0.0.1:{monitor.port}"


def get(url: str, **headers: str) -> requests.Response:
    return requests.get(url, headers=headers, timeout=PATIENCE_SECONDS)


def count_some() -> None:
    """Count what a run with two routes might."""
    for name, amount in (
        (metrics.READ, 1_010),
        (metrics.accepted_by("events"), 900),
        (metrics.accepted_by("a.b-c_d"), 90),
        (metrics.ACCEPTED, 990),
        (f"{metrics.DEAD_LETTERED}required", 12),
        (metrics.dead_lettered_by("events"), 11),
        (f"{metrics.DEAD_LETTERS_OF}required/events", 11),
        (f"{metrics.DEAD_LETTERS_OF}json/", 1),
        (metrics.dropped_by("events"), 8),
        (metrics.REQUESTS, 3),
        (metrics.REQUEST_BYTES, 1_000),
        (f"{metrics.RETRIES}503", 2),
        (f"{metrics.RETRIES}token", 1),
    ):
        metrics.count_here(name, amount)
    count_latencies("events", measure([NOW - 30, NOW - 300, NOW - 10**12], [Accepted(3, NOW)]))
    for milliseconds in (7, 2_000_000):
        metrics.observe_of("events", metrics.DELIVERY_MILLISECONDS, milliseconds)


def samples(families: Iterable[Metric]) -> dict[tuple[str, ...], float]:
    """Return values by name and labels, the route first."""
    return {
        (one.name, *(one.labels[label] for label in sorted(one.labels, reverse=True))): one.value
        for family in families
        for one in family.samples
    }


def test_what_is_counted_is_exported_by_route_code_and_cause(page: str) -> None:
    count_some()
    answer = get(f"{page}/metrics")
    assert (answer.status_code, answer.headers["Content-Type"]) == (200, "text/plain; version=0.0.4; charset=utf-8")
    found = samples(text_string_to_metric_families(answer.text))
    wanted = {
        ("beam_aep_read_records_total",): 1_010,
        ("beam_aep_accepted_records_total", "events"): 900,
        ("beam_aep_accepted_records_total", "a.b-c_d"): 90,
        ("beam_aep_dead_letters_total", "events", "required"): 11,
        ("beam_aep_dead_letters_total", "", "json"): 1,
        ("beam_aep_dropped_records_total", "events"): 8,
        ("beam_aep_retries_total", "503"): 2,
        ("beam_aep_retries_total", "token"): 1,
        ("beam_aep_request_bytes_total",): 1_000,
        ("beam_aep_tombstones_total",): 0,
        ("beam_aep_latency_seconds_count", "events"): 3,
        ("beam_aep_latency_seconds_bucket", "events", "0.025"): 0,
        ("beam_aep_latency_seconds_bucket", "events", "0.05"): 1,
        ("beam_aep_latency_seconds_bucket", "events", "0.5"): 2,
        ("beam_aep_latency_seconds_bucket", "events", "+Inf"): 3,
        ("beam_aep_latency_seconds_sum", "events"): (10**12 + 330) / 1000,
        ("beam_aep_delivery_duration_seconds_bucket", "events", "0.01"): 1,
        ("beam_aep_delivery_duration_seconds_bucket", "events", "1000"): 1,
        ("beam_aep_delivery_duration_seconds_count", "events"): 2,
        ("beam_aep_delivery_duration_seconds_sum", "events"): 2_000.007,
        ("beam_aep_requests_in_flight",): 0,
    }
    assert {name: found.get(name) for name in wanted} == wanted
    # Nothing twice, and of no route what has one.
    assert ("beam_aep_accepted_records_total", "") not in found
    assert sum(value for name, value in found.items() if name[0] == "beam_aep_accepted_records_total") == 990
    assert {"process_resident_memory_bytes", "process_cpu_seconds_total"} <= {name[0] for name in found}


def test_a_prometheus_that_prefers_openmetrics_gets_the_same(page: str) -> None:
    count_some()
    answer = get(f"{page}/metrics", Accept="application/openmetrics-text;version=1.0.0,text/plain;version=0.0.4;q=0.5")
    assert answer.headers["Content-Type"].startswith("application/openmetrics-text; version=1.0.0")
    found = samples(parse_open_metrics(answer.text))  # type: ignore[no-untyped-call]
    assert found["beam_aep_accepted_records_total", "events"] == 900
    assert found["beam_aep_latency_seconds_count", "events"] == 3


def test_records_of_a_pipeline_without_routes_have_an_empty_one() -> None:
    now = Snapshot(Counter({metrics.ACCEPTED: 7}), snapshot().levels)
    found = samples(text_string_to_metric_families(generate_latest(registry(lambda: now)).decode()))
    assert found["beam_aep_accepted_records_total", ""] == 7


@pytest.mark.promtool
def test_names_and_units_are_those_that_prometheus_asks_for(promtool: Promtool) -> None:
    count_some()
    metrics.asked()
    part = object()
    metrics.watch(metrics.LAG, part, lambda: 5)
    metrics.watch(metrics.LAG_MILLISECONDS, part, lambda: 5_000)
    try:
        text = generate_latest(registry()).decode()
    finally:
        metrics.unwatch(metrics.LAG, part)
        metrics.unwatch(metrics.LAG_MILLISECONDS, part)
    assert {one.name for one in EXPORTED} < {family.name for family in text_string_to_metric_families(text)}
    assert promtool.check_metrics(text) == ""


def test_the_page_for_operators_lists_each_metric_as_it_is() -> None:
    page = (ROOT / "docs" / "operations.md").read_text()
    listed = {line for line in page.splitlines() if line.startswith("| `beam_aep_")}
    assert listed == {f"| {' | '.join(describe(one))} |" for one in EXPORTED}


def test_a_level_that_is_not_known_is_not_exported(page: str) -> None:
    text = get(f"{page}/metrics").text
    assert f"\n{IN_FLIGHT} 0.0\n" in text
    assert not any(line.startswith((LAG_RECORDS, LAST_POLL)) for line in text.splitlines())


def test_it_is_ready_from_the_first_poll_until_it_is_to_end(page: str) -> None:
    def ready() -> tuple[int, object]:
        answer = get(f"{page}/ready")
        return answer.status_code, answer.json()["reason"]

    assert ready() == (503, "reading has not begun")
    metrics.asked()
    assert ready() == (200, None)
    process.request_stop(60)
    assert ready() == (503, "stopping")
    assert get(f"{page}/health").json() == {"alive": True}


def test_a_probe_may_ask_for_the_head_only(page: str) -> None:
    answer = requests.head(f"{page}/health", timeout=PATIENCE_SECONDS)
    assert (answer.status_code, answer.headers["Content-Length"], answer.content) == (200, "15", b"")


def test_what_keeps_a_process_from_reading_is_said_and_exported(page: str) -> None:
    def ready() -> tuple[int, str | None, float]:
        answer = get(f"{page}/ready")
        exported = samples(text_string_to_metric_families(get(f"{page}/metrics").text))
        return answer.status_code, answer.json()["reason"], exported["beam_aep_ready",]

    with process.holding_up("waiting for an access token") as say:
        assert ready() == (503, "reading has not begun: waiting for an access token", 0)
        say("no token: IMS answers 503")
        assert ready() == (503, "reading has not begun: no token: IMS answers 503", 0)
    assert ready() == (503, "reading has not begun", 0)
    metrics.asked()
    assert ready() == (200, None, 1)
    metrics.watch(metrics.LAG, "test", lambda: 0)
    metrics.watch(metrics.KAFKA_SILENCE, "test", lambda: 17)
    assert ready() == (503, "Kafka has not answered for 17 s", 0)
    assert get(f"{page}/ready").json()["lag_records"] is None  # and not what the brokers said before
    metrics.unwatch(metrics.KAFKA_SILENCE, "test")
    assert get(f"{page}/ready").json()["lag_records"] == 0
    metrics.unwatch(metrics.LAG, "test")
    assert ready() == (200, None, 1)


def test_the_processes_that_work_for_this_one_are_exported_each_by_its_number() -> None:
    gone = subprocess.Popen([sys.executable, "-c", ""])
    gone.wait()
    with closing(Monitor(0, children=lambda: {1: os.getpid(), 2: gone.pid})) as monitor:
        page = f"http://127.0.0.1:{monitor.port}"
        for accept in ("text/plain", "application/openmetrics-text"):
            text = get(f"{page}/metrics", Accept=accept).text
            parse = parse_open_metrics if "openmetrics" in accept else text_string_to_metric_families
            found = samples(parse(text))
            assert found["beam_aep_process_resident_memory_bytes", "1"] > 0
            assert found["beam_aep_process_cpu_seconds_total", "1"] > 0
            start = found["process_start_time_seconds",]
            assert found["beam_aep_process_start_time_seconds", "1"] == start
            assert ("beam_aep_process_resident_memory_bytes", "2") not in found


def test_what_readiness_is_concluded_from_is_said() -> None:
    levels = {**snapshot().levels, LAST_POLL: 98.5, LAG_RECORDS: 12}
    assert readiness(Snapshot(Counter(), levels), "", at=100.0).body == {
        "ready": True,
        "reason": None,
        "seconds_since_last_poll": 1.5,
        "seconds_since_last_accepted": None,
        "lag_records": 12,
        "lag_seconds": None,
    }


def test_another_address_is_not_found_and_says_what_there_is(page: str) -> None:
    answer = get(f"{page}/")
    assert (answer.status_code, answer.text) == (404, "not found; there are /metrics, /health, /ready\n")


def test_a_client_that_says_nothing_holds_nobody_up(page: str) -> None:
    host, _, port = page.removeprefix("http://").partition(":")
    with closing(socket.create_connection((host, int(port)))):
        assert get(f"{page}/health").status_code == 200


def test_it_is_found_by_ipv4_and_ipv6_where_the_machine_has_both(page: str) -> None:
    if not socket.has_dualstack_ipv6():
        pytest.skip("no IPv6")
    assert get(page.replace("127.0.0.1", "[::1]") + "/health").status_code == 200


def test_a_port_in_use_names_its_option() -> None:
    with closing(Monitor(0)) as taken, pytest.raises(ConfigurationError) as error:
        open_monitor(taken.port)
    assert str(error.value) == (
        f"metrics_port: port {taken.port} is in use by another program on this machine: choose another one, or 0 for "
        "any free one"
    )


def test_each_worker_of_a_machine_finds_a_port(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level("INFO")
    with closing(Monitor(0)) as first:
        second = open_monitor_of_worker(first.port)
        assert second is not None
        with closing(second):
            assert first.port < second.port < first.port + 32
            assert f":{second.port}/metrics" in caplog.text
            assert get(f"http://127.0.0.1:{second.port}/health").status_code == 200


def test_numbers_that_cannot_be_read_are_logged_and_the_next_request_is_answered(
    caplog: pytest.LogCaptureFixture,
) -> None:
    def broken() -> Snapshot:
        raise RuntimeError("a level that fails")

    with closing(Monitor(0, broken)) as monitor:
        with pytest.raises(requests.ConnectionError):
            get(f"http://127.0.0.1:{monitor.port}/ready")
        assert get(f"http://127.0.0.1:{monitor.port}/health").status_code == 200
    assert "a level that fails" in caplog.text


def test_a_closed_monitor_leaves_no_thread_and_no_port() -> None:
    before = threading.active_count()
    monitor = Monitor(0)
    monitor.close()
    with closing(Monitor(monitor.port)):
        pass
    assert threading.active_count() <= before + 2


def test_the_registry_asks_anew_each_time() -> None:
    counts: Counter[str] = Counter()
    found: CollectorRegistry = registry(lambda: Snapshot(counts, snapshot().levels))
    assert found.get_sample_value("beam_aep_read_records_total") == 0
    counts[metrics.READ] = 5
    assert found.get_sample_value("beam_aep_read_records_total") == 5
