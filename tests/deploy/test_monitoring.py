"""The alert rules and the dashboard: names that are exported, PromQL that Prometheus takes, a page that explains."""

from __future__ import annotations

import os
import re
from collections import Counter
from pathlib import Path
from typing import Any

import orjson
import pytest
import yaml
from prometheus_client import generate_latest
from prometheus_client.parser import text_string_to_metric_families

from pipelines.dashboard import dashboard
from testing.services.prometheus import Promtool
from transforms.worker import metrics
from transforms.worker.exported import EXPORTED
from transforms.worker.exposition import Snapshot, registry

ROOT = Path(__file__).parents[2]
ALERTS = ROOT / "deploy" / "prometheus" / "alerts.yaml"
DASHBOARD = ROOT / "deploy" / "grafana" / "beam-aep.json"

# What Prometheus adds to each series, and to the buckets of histograms; and the number of one of several processes.
ADDED_LABELS = {"namespace", "job", "instance", "le", "process"}


def rules() -> list[dict[str, Any]]:
    return [rule for group in yaml.safe_load(ALERTS.read_text())["groups"] for rule in group["rules"]]


def queries() -> dict[str, str]:
    """Return all queries by where they are."""
    panels = dashboard()["panels"]
    of_panels = {f"{one['title']} {each['refId']}": each["expr"] for one in panels for each in one["targets"]}
    return {**of_panels, **{rule["alert"]: rule["expr"] for rule in rules()}}


def exported_names() -> set[str]:
    """Return the names of all samples of a process in which everything has happened once."""
    counts = Counter(dict.fromkeys((metrics.READ, metrics.ACCEPTED), 1))
    for prefix in ("latency_milliseconds/", *(f"{name}/" for name in metrics.BOUNDS)):
        counts[f"{prefix}r/5"] = counts[f"{prefix}r/sum"] = 1
    counts |= {f"route/r/{name}": 1 for name in ("accepted", "dropped")}
    counts |= {f"{metrics.DEAD_LETTERS_OF}json/r": 1, f"{metrics.REPEATED_IDS}r": 1}
    now = Snapshot(counts, {one.name: 1.0 for one in EXPORTED if one.kind == "gauge"})
    families = text_string_to_metric_families(generate_latest(registry(lambda: now, lambda: {1: os.getpid()})).decode())
    return {sample.name for family in families for sample in family.samples}


def test_each_name_and_label_in_a_query_is_exported() -> None:
    names, labels = exported_names(), ADDED_LABELS | {label for one in EXPORTED for label in one.labels}
    for where, query in queries().items():
        used = set(re.findall(r"\b(?:beam_aep|process)_\w+", query))
        assert used <= names, where
        assert used or "up{" in query, where
        grouped = {label for inside in re.findall(r"(?:by|on) \(([^)]*)\)", query) for label in inside.split(", ")}
        matched = set(re.findall(r"(\w+)=~?\"", query))
        assert grouped | matched <= labels, where


def test_each_plot_says_what_it_shows() -> None:
    assert [one["title"] for one in dashboard()["panels"] if not one["description"]] == []


def test_the_dashboard_is_the_one_that_the_code_makes() -> None:
    assert orjson.loads(DASHBOARD.read_bytes()) == dashboard()


@pytest.mark.promtool
def test_prometheus_takes_the_rules_and_the_configuration(promtool: Promtool) -> None:
    assert promtool.check_rules(ALERTS) == ""
    assert promtool.check_config(ALERTS.with_name("prometheus.yaml")) == ""


@pytest.mark.promtool
def test_the_rules_fire_when_they_should_and_not_before(promtool: Promtool) -> None:
    assert promtool.rule_tests(Path(__file__).with_name("alerts_test.yaml")) == ""


def test_each_rule_has_a_case_that_fires_and_one_that_does_not() -> None:
    cases = yaml.safe_load(Path(__file__).with_name("alerts_test.yaml").read_text())["tests"]
    checked = {(one["alertname"], bool(one["exp_alerts"])) for case in cases for one in case["alert_rule_test"]}
    assert checked == {(rule["alert"], fires) for rule in rules() for fires in (True, False)}


@pytest.mark.promtool
def test_prometheus_takes_the_queries_of_the_dashboard(promtool: Promtool, tmp_path: Path) -> None:
    filled = {"$job": "beam-aep", "$instance": ".*", "$__rate_interval": "1m"}
    records = []
    for number, (name, query) in enumerate(queries().items()):
        for variable, value in filled.items():
            query = query.replace(variable, value)
        assert "$" not in query, name
        records.append({"record": f"query:{number}", "expr": query})
    path = tmp_path / "rules.yaml"
    path.write_text(yaml.safe_dump({"groups": [{"name": "dashboard", "rules": records}]}))
    assert promtool.check_rules(path) == ""


def test_each_alert_has_a_section_that_says_what_to_do() -> None:
    page = (ROOT / "docs" / "operations.md").read_text()
    sections = re.findall(r"^### (BeamAep\w+)\n\n(.*?)(?=\n##|\Z)", page, re.DOTALL | re.MULTILINE)
    assert [name for name, _ in sections] == [rule["alert"] for rule in rules()]
    for rule in rules():
        assert rule["annotations"]["runbook"] == f"docs/operations.md#{rule['alert'].lower()}"
    for name, text in sections:
        assert all(f"**{part}**" in text for part in ("Means", "Look", "Do")), name
