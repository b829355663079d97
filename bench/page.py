"""The figures in the documentation, from the file of results: tables between marks, and plots.

python -m bench.page [--results .bench/bench.json] [--docs docs]
"""

from __future__ import annotations

import argparse
import re
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from bench import report
from bench.illustrations import ILLUSTRATIONS
from bench.report import number
from bench.sizing import RATES, Measured, Size, size
from testing.defaults import by_default
from transforms.batch import BatchLimits

PAGES = ("performance.md", "scaling.md")
PLOTS = "performance"
"""The folder of the plots, beside the pages."""

_MARKED = re.compile(r"(<!-- bench: ([a-z -]+) -->\n).*?(<!-- /bench -->)", re.DOTALL)


def main(argv: Sequence[str]) -> int:
    """Write pages and plots; return the exit code: 2 where there are no results."""
    parser = argparse.ArgumentParser(prog="python -m bench.page", description="Write figures into the documentation.")
    parser.add_argument("--results", type=Path, default=Path(".bench/bench.json"), help="JSON file of the benchmarks")
    parser.add_argument("--docs", type=Path, default=Path("docs"), help="folder of the pages")
    arguments = parser.parse_args(argv)
    try:
        parts = report.read(arguments.results)
    except report.ResultsError as error:
        parser.error(str(error))
    if not parts:
        parser.error(f"{arguments.results}: no results: run make bench first")
    for name in PAGES:
        page = arguments.docs / name
        if page.exists():
            page.write_text(fill(page.read_text(), parts))
    write_plots(parts, arguments.docs / PLOTS)
    return 0


def write_plots(parts: Mapping[str, Any], folder: Path) -> None:
    """Write the plots of what was measured."""
    folder.mkdir(parents=True, exist_ok=True)
    for name, one in ILLUSTRATIONS.items():
        if name in parts:
            (folder / f"{name}.svg").write_text(f"{one.draw(one.title, parts[name])}\n")


def fill(page: str, parts: Mapping[str, Any]) -> str:
    """Return a page with what its marks ask for: `<!-- bench: kafka plain -->` for the table of these parts,
    `<!-- bench: sizing -->` for that of sizes; what was not measured keeps what stands there.
    """

    def between(found: re.Match[str]) -> str:
        names = found[2].split()
        if names == ["sizing"]:
            made = sizing_table(parts) if "kafka" in parts else ""
        else:
            made = figures_table({name: parts[name] for name in names if name in parts})
        return f"{found[1]}\n{made}\n\n{found[3]}" if made else found[0]

    return _MARKED.sub(between, page)


def figures_table(parts: Mapping[str, Any]) -> str:
    """Return a table of the figures of parts in Markdown, on what they were taken, and their plots; "" for no part."""
    if not parts:
        return ""
    rows = [
        f"| {one['name']} | {_measured(one)} | {_bound(one)} |" for part in parts.values() for one in part["figures"]
    ]
    taken = sorted({_taken(part) for part in parts.values()})
    load = max(part["machine"]["load_average"][0] for part in parts.values())
    head = ["| figure | median (min to max) | bound |", "| --- | --- | --- |"]
    plots = [f"\n![{one.title}]({PLOTS}/{name}.svg)" for name, one in ILLUSTRATIONS.items() if name in parts]
    return "\n".join([*head, *rows, "", f"Taken {'; '.join(taken)}; load average {load:.1f} at most.", *plots])


def sizing_table(parts: Mapping[str, Any]) -> str:
    """Return the table of sizes in Markdown."""
    median = {one["key"]: one["median"] for one in parts["kafka"]["figures"]}
    measured = Measured(median["rate"], median["cpu"], max(median["memory"], median["memory-delayed"]))
    limits = by_default(BatchLimits)
    rows = [size(rate, measured, limits.max_messages, limits.max_bytes) for rate in RATES]
    return "\n".join(
        [
            "| events/s | processes | partitions | cores | memory | requests/s | beyond Adobe's figures for |",
            "| --- | --- | --- | --- | --- | --- | --- |",
            *map(_size_row, rows),
        ]
    )


def _size_row(one: Size) -> str:
    cells = (
        f"{one.rate:,}",
        f"{one.processes}",
        f"{one.partitions}",
        number(one.cores),
        f"{one.megabytes / 1000:.1f} GB",
        f"{one.requests_per_second:,}",
        ", ".join(one.passes) or "-",
    )
    return f"| {' | '.join(cells)} |"


def _measured(figure: Mapping[str, Any]) -> str:
    middle, least, most = (number(figure[name]) for name in ("median", "min", "max"))
    return middle if least == most else f"{middle} ({least} to {most})"


def _bound(figure: Mapping[str, Any]) -> str:
    if not figure["bound"]:
        return ""
    missed = "" if figure["met"] else ", missed"
    target = f" (target {figure['target']}{'' if figure['target_met'] else ', missed'})" if figure["target"] else ""
    return f"{figure['bound']}{missed}{target}".replace("<", "&lt;").replace(">", "&gt;")


def _taken(part: Mapping[str, Any]) -> str:
    machine = part["machine"]
    return (
        f"{part['date'][:10]} on {machine['cores']} cores of {machine['cpu']}, "
        f"Python {machine['python']}, Beam {machine['packages']['apache-beam']}"
    )


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
