"""The figures get into the documentation by a command: tables between marks, sizes computed from them, plots."""

from __future__ import annotations

from collections import Counter
from dataclasses import replace
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

import orjson
import pytest
from prometheus_client import generate_latest

from bench import adobe_bench, flink_bench, growth_bench, memory_bench, processes_bench, report
from bench.bounds import Bound, Limit, judge
from bench.figure import Figure
from bench.flink_job import histogram
from bench.illustrations import ILLUSTRATIONS
from bench.memory_bench import MemoryResults, Sample
from bench.page import PAGES, PLOTS, fill, main
from bench.parts import PARTS
from bench.sizing import LOAD, Measured, size
from transforms.worker.exposition import registry, snapshot
from transforms.worker.latency import LATENCY

DOCS = Path(__file__).parents[2] / "docs"

SAMPLES = [Sample(second, 200 + 10 * (second == 6)) for second in range(13)]
FIGURES = {
    "kafka": [
        Figure("rate", "events/s", [70_000.0, 50_000, 60_000]),
        Figure("cpu", "CPU seconds per million events", [14.0]),
        Figure("memory", "peak memory, MB", [250.0]),
        Figure("memory-delayed", "peak memory at 50 ms, MB", [260.0]),
    ],
    "plain": [Figure("entity-900", "Kafka to accepted (0.9 kB, entities): CPU / a plain script's", [1.2, 1.1, 1.4])],
    "latency": [Figure("low-latency-50-p99", "latency at 50 events/s, low-latency.yaml: p99, ms", [140])],
    "memory": memory_bench.figures(MemoryResults(SAMPLES, 3, 9)),
}
BOUNDS = {"entity-900": Bound(Limit("<=", 1.3)), "low-latency-50-p99": Bound(Limit("<", 150), Limit("<", 100))}


def results() -> dict[str, Any]:
    raw: Any = {"memory": MemoryResults(SAMPLES, 3, 9)}
    documents = {}
    for part, figures in FIGURES.items():
        fitting = {one.key: BOUNDS[one.key] for one in figures if one.key in BOUNDS}
        documents[part] = report.document(judge(part, figures, fitting), raw.get(part), {}, 12.0)
    return dict(orjson.loads(orjson.dumps(documents)))


def test_a_mark_gets_the_table_of_the_parts_that_were_measured_and_the_rest_stays() -> None:
    kept = "<!-- bench: steps -->\nkept\n<!-- /bench -->\n"
    page = f"a\n\n<!-- bench: plain latency -->\n\nold\n\n<!-- /bench -->\n\nb\n{kept}"
    parts = results()  # once: the load of the machine is in them
    filled = fill(page, parts)
    assert "old" not in filled
    assert (
        "| Kafka to accepted (0.9 kB, entities): CPU / a plain script's | 1.20 (1.10 to 1.40) | &lt;= 1.3 |" in filled
    )
    assert "| 140 | &lt; 150 (target &lt; 100, missed) |" in filled
    assert f"![{ILLUSTRATIONS['plain'].title}]({PLOTS}/plain.svg)" in filled
    assert filled.startswith("a\n\n<!-- bench: plain latency -->\n")
    assert filled.endswith(f"<!-- /bench -->\n\nb\n{kept}")
    assert fill(filled, parts) == filled


def test_a_figure_beyond_its_bound_is_marked_as_missed() -> None:
    parts = results()
    parts["plain"]["figures"][0] |= {"median": 1.4, "met": False}
    assert "&lt;= 1.3, missed |" in fill("<!-- bench: plain -->\n<!-- /bench -->", parts)


def test_a_target_beyond_the_bound_is_said_to_be_missed_only_where_it_is() -> None:
    parts = results()
    parts["latency"]["figures"][0] |= {"median": 90, "target_met": True}
    assert "&lt; 150 (target &lt; 100) |" in fill("<!-- bench: latency -->\n<!-- /bench -->", parts)


def test_every_figure_of_the_benchmarks_has_a_place_on_a_page() -> None:
    text = "".join((DOCS / name).read_text() for name in PAGES if (DOCS / name).exists())
    named = {name for mark in text.split("<!-- bench: ")[1:] for name in mark.partition(" -->")[0].split()}
    assert PARTS.keys() <= named


def test_the_command_writes_pages_and_plots(tmp_path: Path) -> None:
    stored = tmp_path / "bench.json"
    report.write(stored, results())
    for name in PAGES:
        (tmp_path / name).write_text(
            "<!-- bench: kafka -->\n<!-- /bench -->\n<!-- bench: sizing -->\n<!-- /bench -->\n"
        )
    assert main([f"--results={stored}", f"--docs={tmp_path}"]) == 0
    for name in PAGES:
        assert "| 1,000,000 | " in (tmp_path / name).read_text()
    drawn = {path.stem: ElementTree.parse(path).getroot() for path in (tmp_path / PLOTS).iterdir()}
    assert drawn.keys() == ILLUSTRATIONS.keys() & FIGURES.keys()
    for name, root in drawn.items():
        assert root.tag == "{http://www.w3.org/2000/svg}svg"
        assert ILLUSTRATIONS[name].title in "".join(root.itertext())
        left, top, width, height = map(float, root.attrib["viewBox"].split())
        for text in root.iter("{http://www.w3.org/2000/svg}text"):
            assert left <= float(text.attrib["x"]) <= width
            assert top <= float(text.attrib["y"]) <= height


def test_the_command_wants_results(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as ended:
        main([f"--results={tmp_path / 'none.json'}"])
    assert ended.value.code == 2
    assert "run make bench first" in capsys.readouterr().err


def test_a_size_follows_from_what_one_process_does() -> None:
    measured = Measured(events_per_second=50_000, cpu_seconds_per_million=14, peak_megabytes=250)
    few = size(1_000, measured, 1_000, 950_000)
    assert (few.processes, few.partitions, few.megabytes, few.passes) == (1, 4, 250, [])
    assert few.requests_per_second == 2  # 760 messages of 1,250 bytes in each
    many = size(1_000_000, measured, 1_000, 950_000)
    assert many.processes == 29  # of 35,000 events/s each, which leaves three tenths for catching up
    assert LOAD * many.processes * 50_000 >= many.rate > LOAD * (many.processes - 1) * 50_000
    assert (many.partitions, many.cores, many.requests_per_second) == (58, 14, 1_316)
    assert many.passes == ["Profile's records", "messages", "requests"]
    assert size(5_000, measured, 1_000, 950_000).passes == ["Profile's records"]


def test_ratios_follow_from_what_was_measured() -> None:
    (two,) = processes_bench.figures([processes_bench.Round(one=10, two=19)])
    assert two.median == 1.9
    rounds = [growth_bench.Round(few=2, one_partition=4, many_partitions=3)]
    by_events, by_partitions = growth_bench.figures(growth_bench.GrowthResults(10, rounds, 100, of_many=1))
    assert (by_events.median, by_partitions.median) == (0.5, 0.75)
    spent = adobe_bench.Spent(cpu_seconds=3, wall_seconds=2, megabytes=250)
    of_sink = adobe_bench.Spent(cpu_seconds=12, wall_seconds=10, megabytes=1_000)
    pairs = [adobe_bench.Pair(latency_ms, 10, spent, of_sink) for latency_ms in (0, 50)]
    assert [one.median for one in adobe_bench.figures(pairs)] == [0.25, 5, 0.25] * 2
    measured = flink_bench.Round(13, 10, one=10, four=35, mean_ms=800, p95_ms=1_500, megabytes=200, later_megabytes=210)
    assert [one.median for one in flink_bench.figures([measured])] == [1.3, 3.5, 800, 1_500, 210, 1.05]
    peak, growth = FIGURES["memory"]
    assert (peak.median, growth.median) == (210, 1)


def test_latencies_are_read_from_the_pages_of_workers() -> None:
    name = "beam_aep_latency_seconds"
    lines = [
        f'{name}_bucket{{le="0.01",route="a"}} 1',
        f'{name}_bucket{{le="0.02",route="a"}} 3',
        f'{name}_bucket{{le="+Inf",route="a"}} 3',
        f'{name}_sum{{route="a"}} 0.04',
        f'{name}_bucket{{route="b",le="0.02"}} 4',
        f'{name}_bucket{{route="b",le="+Inf"}} 4',
        f'{name}_sum{{route="b"}} 0.06',
    ]
    found = histogram("\n".join(lines))
    assert (found.buckets, found.sum_milliseconds) == ({10: 1, 20: 6}, 100)


def test_the_page_of_a_worker_has_the_names_that_are_read() -> None:
    counted = Counter({f"{LATENCY}events/20": 6, f"{LATENCY}events/sum": 90})
    found = histogram(generate_latest(registry(lambda: replace(snapshot(), counts=counted))).decode())
    assert (found.records, found.sum_milliseconds) == (6, 90)
