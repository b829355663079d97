"""The page: what became of the records, how it went over time, what was refused, and with which options."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import orjson

from pipelines.options.settings import DEFAULT, Settings
from pipelines.runtime.history import History
from pipelines.runtime.report import QUANTILES, durations
from pipelines.runtime.report_page.history_plots import plots
from pipelines.runtime.report_page.markup import Markup, element, join
from pipelines.runtime.report_page.plots import say_time
from transforms.records.dead_letter_codes import CODES

_HERE = Path(__file__).parent

# Nothing is loaded from anywhere, whatever a name or a message of an error might make of this page.
_POLICY = "default-src 'none'; style-src 'unsafe-inline'; script-src 'unsafe-inline'"

_GOOD = "finished", "stopped"
_OPEN_EXAMPLES = 3


@dataclass(frozen=True)
class RunReport:
    """All that the page says.

    Attributes:
        title: Of the pipeline.
        account: The summary of the run.
        notices: Errors and warnings, for people.
        settings: All options.
        ended: When the run ended.
        receiver: What the records go to.
        dead_letters: Where dead letters are.
        history: How it went; None where other processes did the work.
        examples: A redacted dead letter of each code.
    """

    title: str
    account: Mapping[str, Any]
    notices: Sequence[str]
    settings: Settings
    ended: datetime
    receiver: str = ""
    dead_letters: str = ""
    history: History | None = None
    examples: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)

    def html(self) -> str:
        """Return the page."""
        head = element(
            "head",
            element("meta", charset="utf-8"),
            element("meta", name="viewport", content="width=device-width, initial-scale=1"),
            element("meta", name="color-scheme", content="light dark"),
            element("meta", http_equiv="Content-Security-Policy", content=_POLICY),
            element("title", f"{self.title}: {self.account['outcome']}"),
            element("style", Markup((_HERE / "page.css").read_text())),
        )
        body = element(
            "body",
            element(
                "main",
                self._top(),
                *(element("p", notice, class_=f"notice {self._kind}") for notice in self.notices),
                self._tiles(),
                self._shares(),
                self._over_time(),
                self._routes(),
                self._refused(),
                self._options(),
            ),
            element("script", Markup((_HERE / "page.js").read_text())),
        )
        return f"<!DOCTYPE html>\n{element('html', head, body, lang='en')}\n"

    @property
    def _kind(self) -> str:
        return "good" if self.account["outcome"] in _GOOD else "bad"

    @property
    def _started(self) -> datetime:
        return self.ended - timedelta(seconds=self.account["seconds"])

    def _top(self) -> Markup:
        outcome = self.account["outcome"]
        seconds = self.account["seconds"]
        started = self._started
        same_day = started.date() == self.ended.date()
        until = f"{self.ended:%H:%M:%S %Z}" if same_day else f"{self.ended:%Y-%m-%d %H:%M:%S %Z}"
        times = f"{started:%Y-%m-%d %H:%M:%S} to {until}, {say_time(round(seconds, 1))}"
        where = f"; records go to {self.receiver}" if self.receiver else ""
        return element(
            "header",
            element("h1", self.title, " ", element("span", outcome, class_=f"badge {self._kind}")),
            element("p", times, where, class_="soft"),
        )

    def _tiles(self) -> Markup:
        account = self.account
        seconds, latency = account["seconds"], account["latency_milliseconds"]
        dead_lettered = sum(account["dead_lettered"].values())
        times = durations([latency[name] for name in QUANTILES]) if latency else []
        tiles = [
            ("read", f"{account['read']:,}", ""),
            ("accepted", f"{account['accepted']:,}", "good"),
            ("dead-lettered", f"{dead_lettered:,}", "warn" if dead_lettered else ""),
            ("unaccounted for", f"{account['unaccounted']:,}", "bad" if account["unaccounted"] else ""),
            ("events/s", f"{account['read'] / seconds:,.0f}" if seconds else "-", ""),
            *((f"latency, {name}", time, "") for name, time in zip(QUANTILES, times, strict=False)),
        ]
        if account["requests"]:  # none where sinks write, as to a topic
            tiles += [
                ("requests", f"{account['requests']:,}", ""),
                ("sent again", f"{sum(account['retries'].values()):,}", "warn" if account["retries"] else ""),
                ("possible duplicates", f"{account['duplicates_possible']:,}", ""),
            ]
        return element(
            "dl",
            *(element("div", element("dt", name), element("dd", value, class_=kind)) for name, value, kind in tiles),
            class_="tiles",
        )

    def _shares(self) -> Markup | None:
        """Return a bar of what became of the records, with what the tiles do not name."""
        account = self.account
        parts = [
            ("accepted", account["accepted"], "good"),
            ("dead-lettered", sum(account["dead_lettered"].values()), "warn"),
            ("dropped by its route", account["dropped"], "other"),
            ("tombstones skipped", account["tombstones"], "other"),
            ("passed over", account["passed_over"], "other"),
            ("repeats dropped", account["repeats_dropped"], "other"),
            ("unaccounted for", account["unaccounted"], "bad"),
        ]
        told = [part for part in parts if part[1] > 0]
        whole = sum(number for _, number, _ in told)
        if not whole:
            return None
        bar = (element("i", class_=kind, style=f"flex-grow:{number}") for _, number, kind in told)
        names = (
            element("li", element("i", class_=kind), name, " ", element("b", f"{number:,}"), _share(number, whole))
            for name, number, kind in told
        )
        causes = ", ".join(f"{cause} ({number:,})" for cause, number in account["retries"].items())
        return element(
            "section",
            element("h2", "What became of the records"),
            element("div", *bar, class_="bar", aria_hidden="true"),
            element("ul", *names, class_="shares"),
            element("p", f"Sent again, by cause: {causes}", class_="soft") if causes else None,
        )

    def _over_time(self) -> Markup | None:
        if self.history is None or not self.history.intervals:
            return None
        drawn = join(*(plot.draw() for plot in plots(self.history, self._started)))
        note = None
        if self.account["requests"] and not self.account["latency_milliseconds"]:
            note = element(
                "p", "Latency was not measured: files and replays have no time of arrival in Kafka.", class_="soft"
            )
        return element("section", element("h2", "Over time"), element("div", drawn, class_="plots"), note)

    def _routes(self) -> Markup | None:
        if not self.account["routes"]:
            return None
        rows = [
            (name, *(f"{counts[what]:,}" for what in ("accepted", "dead_lettered", "dropped")))
            for name, counts in self.account["routes"].items()
        ]
        return element(
            "section",
            element("h2", "By route"),
            _table(("route", "accepted", "dead-lettered", "dropped"), rows),
        )

    def _refused(self) -> Markup | None:
        if not self.account["dead_lettered"]:
            return None
        letters = sorted(self.account["dead_lettered"].items(), key=lambda one: -one[1])
        return element(
            "section",
            element("h2", "Dead letters"),
            element(
                "p",
                f"They are in {self.dead_letters}, with their messages and values. Here each code has the first record "
                "that this process refused with it, its values replaced by their types.",
                class_="soft",
            ),
            *(self._letter(code, number, open_=at < _OPEN_EXAMPLES) for at, (code, number) in enumerate(letters)),
        )

    def _letter(self, code: str, number: int, *, open_: bool) -> Markup:
        example, explained = self.examples.get(code), CODES.get(code)
        top = element(
            "summary",
            element("code", code),
            " ",
            element("b", f"{number:,}"),
            element("span", _where(example), class_="soft"),
        )
        if example is None:
            return element("details", top, element("p", "No example: another process refused them.", class_="soft"))
        violations = [
            element("li", element("code", error["code"]), f" {error['pointer'] or 'the whole record'}")
            for error in example["violations"]
        ]
        more = example["violation_count"] - len(violations)
        if violations and more > 0:
            violations.append(element("li", f"and {more:,} more"))
        facts = [
            ("means", _with_code(explained.meaning) if explained else ""),
            ("to do", _with_code(explained.remedy) if explained else ""),
            ("missing", example["missing"] or ""),
            ("read from", f"{example['topic']}, partition {example['partition']}, offset {example['offset']}"),
            ("refused at", example["at"]),
            ("route", example["route"]),
            ("schema", example["schema"]),
            ("attempts", str(example["attempts"]) if example["attempts"] else ""),
            ("headers", ", ".join(example["headers"])),
        ]
        value = example["value"]
        shown = value if isinstance(value, str) else orjson.dumps(value, option=orjson.OPT_INDENT_2).decode()
        return element(
            "details",
            top,
            element("ul", *violations) if len(violations) > 1 else None,
            element("dl", *(join(element("dt", name), element("dd", fact)) for name, fact in facts if fact)),
            element("pre", shown),
            open_=open_,
        )

    def _options(self) -> Markup:
        rows = [(name, element("code", value), origin) for name, value, origin in self.settings.as_table()]
        given = [row for row in rows if row[2] != DEFAULT]
        others = [row for row in rows if row[2] == DEFAULT]
        names = ("option", "value", "from")
        return element(
            "section",
            element("h2", "Options"),
            _table(names, given) if given else None,
            element(
                "details",
                element("summary", f"{len(others)} with their default"),
                _table(names[:2], [row[:2] for row in others]),
            ),
        )


def _table(names: Sequence[str], rows: Sequence[Sequence[str]]) -> Markup:
    return element(
        "table",
        element("thead", element("tr", *(element("th", name) for name in names))),
        element(
            "tbody",
            *(
                element("tr", *(element("td", cell, data_name=name) for name, cell in zip(names, row, strict=True)))
                for row in rows
            ),
        ),
    )


def _share(number: int, whole: int) -> str:
    return f" ({100 * number / whole:.3g} %)"


def _with_code(text: str) -> Markup:
    """Return a text in which back-ticks mark code."""
    parts = text.split("`")
    return join(*(element("code", part) if at % 2 else part for at, part in enumerate(parts)))


def _where(example: Mapping[str, Any] | None) -> str:
    if example is None:
        return ""
    place = example["pointer"] or (f"{example['missing']} is missing" if example["missing"] else "")
    return f" {example['stage']}" + (f", {place}" if place else "")
