"""The dashboard for Grafana: `python -m pipelines.dashboard > deploy/grafana/beam-aep.json`."""

from __future__ import annotations

import sys
from dataclasses import dataclass
from typing import Any

import orjson

_WIDTH, _HEIGHT = 8, 8  # of a panel; a row has 24 columns
_OF = '{job=~"$job",instance=~"$instance"}'


@dataclass(frozen=True)
class Panel:
    """A plot.

    Attributes:
        title: Above it.
        description: What it shows, and what to make of it.
        unit: One of Grafana's.
        queries: PromQL by legend.
    """

    title: str
    description: str
    unit: str
    queries: dict[str, str]


def _rate(name: str, by: str = "") -> str:
    return f"sum {f'by ({by}) ' if by else ''}(rate({name}{_OF}[$__rate_interval]))"


def _quantiles(name: str) -> dict[str, str]:
    buckets = f"sum by (le) (rate({name}_bucket{_OF}[$__rate_interval]))"
    return {f"p{round(100 * share)}": f"histogram_quantile({share}, {buckets})" for share in (0.5, 0.95, 0.99)}


PANELS = (
    Panel(
        "Records",
        "Read and accepted go together. What is accepted stays below what is read where records are dead-lettered or "
        "dropped, or where AEP is slow.",
        "ops",
        {"read": _rate("beam_aep_read_records_total"), "accepted": _rate("beam_aep_accepted_records_total")},
    ),
    Panel(
        "Accepted by route",
        "Records that the destination has accepted.",
        "ops",
        {"{{route}}": _rate("beam_aep_accepted_records_total", "route")},
    ),
    Panel(
        "Lag",
        "Records of Kafka's topics that are still to be read. While AEP is down, reading waits; what is known of "
        "the ends of its partitions then grows only until its queue of fetched records is full.",
        "short",
        {"{{instance}}": f"beam_aep_lag_records{_OF}"},
    ),
    Panel(
        "Lag of streams",
        "How far reading a Kinesis stream is behind its newest record.",
        "s",
        {"{{instance}}": f"beam_aep_lag_seconds{_OF}"},
    ),
    Panel(
        "Latency",
        "From a record's timestamp in Kafka to its acceptance.",
        "s",
        _quantiles("beam_aep_latency_seconds"),
    ),
    Panel(
        "Dead letters",
        "By route and code; docs/dead-letter-codes.md explains the codes.",
        "ops",
        {"{{route}} {{code}}": _rate("beam_aep_dead_letters_total", "route, code")},
    ),
    Panel(
        "Requests",
        "Sent, and sent again by cause.",
        "reqps",
        {"sent": _rate("beam_aep_requests_total"), "again: {{cause}}": _rate("beam_aep_retries_total", "cause")},
    ),
    Panel(
        "Under way",
        "Requests without an answer, and batches that wait to be sent again: those rise while AEP is down.",
        "short",
        {
            "in flight": f"sum(beam_aep_requests_in_flight{_OF})",
            "waiting": f"sum(beam_aep_batches_waiting{_OF})",
        },
    ),
    Panel(
        "Delivery of a batch",
        "From its first request to its last answer.",
        "s",
        _quantiles("beam_aep_delivery_duration_seconds"),
    ),
    Panel(
        "Bytes of requests",
        "Of their bodies, before compression.",
        "Bps",
        {"sent": _rate("beam_aep_request_bytes_total")},
    ),
    Panel(
        "Since the last poll and acceptance",
        "Both rise while AEP is down; the last acceptance alone where nothing comes in.",
        "s",
        {
            "poll {{instance}}": f"time() - beam_aep_last_poll_timestamp_seconds{_OF}",
            "accepted {{instance}}": f"time() - beam_aep_last_accepted_timestamp_seconds{_OF}",
        },
    ),
    Panel(
        "Dropped, repeated, possibly twice",
        "Records dropped by their route, events that share an _id with another one, and records sent again "
        "although they may have arrived.",
        "ops",
        {
            "dropped {{route}}": _rate("beam_aep_dropped_records_total", "route"),
            "repeated ids {{route}}": _rate("beam_aep_repeated_ids_total", "route"),
            "possible duplicates": _rate("beam_aep_possible_duplicates_total"),
        },
    ),
    Panel(
        "Failed bundles",
        "On a cluster each failure has the records of the bundle read again.",
        "short",
        {"{{error}}": f"sum by (error) (increase(beam_aep_bundle_failures_total{_OF}[$__rate_interval]))"},
    ),
    Panel(
        "Memory",
        "Resident. Of a run with several processes, the parent's and that of each of the others.",
        "bytes",
        {
            "{{instance}}": f"process_resident_memory_bytes{_OF}",
            "{{instance}} process {{process}}": f"beam_aep_process_resident_memory_bytes{_OF}",
        },
    ),
    Panel(
        "CPU",
        "Seconds of CPU in a second: 1 is one core. Of a run with several processes, as for memory.",
        "short",
        {
            "{{instance}}": _rate("process_cpu_seconds_total", "instance"),
            "{{instance}} process {{process}}": _rate("beam_aep_process_cpu_seconds_total", "instance, process"),
        },
    ),
)


def dashboard() -> dict[str, Any]:
    """Return the dashboard as Grafana imports it."""
    return {
        "uid": "beam-aep",
        "title": "beam-aep",
        "description": "Made by `make docs` from pipelines/dashboard.py.",
        "tags": ["beam-aep"],
        "schemaVersion": 39,
        "editable": True,
        "refresh": "30s",
        "time": {"from": "now-3h", "to": "now"},
        "templating": {"list": [_source(), _variable("job"), _variable("instance", '{job=~"$job"}')]},
        "panels": [_panel(number, panel) for number, panel in enumerate(PANELS)],
    }


def _source() -> dict[str, Any]:
    return {"name": "datasource", "label": "Data source", "type": "datasource", "query": "prometheus"}


def _variable(label: str, of: str = "") -> dict[str, Any]:
    return {
        "name": label,
        "label": label.capitalize(),
        "type": "query",
        "datasource": {"type": "prometheus", "uid": "${datasource}"},
        "query": {"query": f"label_values(beam_aep_build_info{of}, {label})", "refId": label},
        "includeAll": True,
        "allValue": ".+",
        "multi": True,
        "current": {"text": ["All"], "value": ["$__all"]},
        "refresh": 2,
    }


def _panel(number: int, panel: Panel) -> dict[str, Any]:
    row, column = divmod(number, 24 // _WIDTH)
    return {
        "id": number + 1,
        "type": "timeseries",
        "title": panel.title,
        "description": panel.description,
        "datasource": {"type": "prometheus", "uid": "${datasource}"},
        "gridPos": {"x": column * _WIDTH, "y": row * _HEIGHT, "w": _WIDTH, "h": _HEIGHT},
        "fieldConfig": {"defaults": {"unit": panel.unit, "min": 0}, "overrides": []},
        "options": {"legend": {"displayMode": "list", "placement": "bottom"}, "tooltip": {"mode": "multi"}},
        "targets": [
            {"refId": chr(ord("A") + index), "expr": query, "legendFormat": legend}
            for index, (legend, query) in enumerate(panel.queries.items())
        ],
    }


if __name__ == "__main__":
    sys.stdout.buffer.write(orjson.dumps(dashboard(), option=orjson.OPT_INDENT_2) + b"\n")
