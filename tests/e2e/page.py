"""The page of a running pipeline, as Prometheus and probes ask for it."""

from __future__ import annotations

import re
from collections import Counter
from typing import Any

import requests
from prometheus_client.parser import text_string_to_metric_families

from testing.services.process import PATIENCE_SECONDS, ServiceProcess, wait_for


def page(pipeline: ServiceProcess) -> str:
    """Return the address that a pipeline's log names, by the loopback interface."""

    def named() -> re.Match[str] | None:
        return re.search(r"metrics at http://[^ :]+:(\d+)/metrics", pipeline.log())

    found = wait_for(named, PATIENCE_SECONDS, "the address of the metrics")
    assert found is not None
    return f"http://127.0.0.1:{found[1]}"


def scrape(address: str) -> dict[str, Counter[tuple[str, ...]]]:
    """Return the samples of a page by name, and by the values of their labels in the order of the labels' names."""
    found: dict[str, Counter[tuple[str, ...]]] = {}
    text = requests.get(f"{address}/metrics", timeout=PATIENCE_SECONDS).text
    for family in text_string_to_metric_families(text):
        for one in family.samples:
            labels = tuple(one.labels[label] for label in sorted(one.labels))
            found.setdefault(one.name, Counter())[labels] += int(one.value)
    return found


def settled(address: str) -> int:
    """Return how many records were accepted or dead-lettered."""
    return _total(address, "beam_aep_accepted_records_total", "beam_aep_dead_letters_total")


def accepted(address: str) -> int:
    """Return how many records were accepted."""
    return _total(address, "beam_aep_accepted_records_total")


def measured(address: str) -> int:
    """Return of how many records the latency was measured, which comes last of what is measured of a delivery."""
    return _total(address, "beam_aep_latency_seconds_count")


def ready(address: str) -> tuple[int, dict[str, Any]]:
    """Return the status and the body of the answer to a probe."""
    answer = requests.get(f"{address}/ready", timeout=PATIENCE_SECONDS)
    return answer.status_code, answer.json()


def _total(address: str, *names: str) -> int:
    found = scrape(address)
    return sum(found.get(name, Counter()).total() for name in names)
