"""HTML from values: whatever is not markup already is escaped where it becomes part of a page.

Names, schemas, events and error texts come from clients and may hold anything, HTML included.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping, Sequence
from contextlib import suppress
from datetime import datetime, timedelta, timezone
from html import escape
from typing import Any, NamedTuple
from urllib.parse import quote, urlencode

import orjson

MAX_JSON_CHARS = 4000  # of a JSON value on a page; messages have up to a megabyte
MAX_PRETTY_BYTES = 100_000  # larger values are shown as they came
MAX_SHOWN_CHARS = 400  # of an id or a name in a list; a click unfolds the whole
_EPOCH = datetime(1970, 1, 1, tzinfo=timezone.utc)
_FIRST_S = (datetime(1, 1, 1, tzinfo=timezone.utc) - _EPOCH).total_seconds()
_LAST_S = (datetime(9999, 12, 31, tzinfo=timezone.utc) - _EPOCH).total_seconds()
_VOID = frozenset(["br", "input", "link", "meta"])


class Html(str):
    """Text that is markup. Only the functions of this module make it, of escaped parts."""

    __slots__ = ()


Content = object  # Html as it is, None for nothing, anything else as escaped text


def markup(*content: Content) -> Html:
    """Put contents side by side."""
    return Html("".join(_markup_of(each) for each in content))


def element(name: str, /, *content: Content, **attributes: str | bool | None) -> Html:
    """Return an element; `class_` and `data_label` stand for `class` and `data-label`, None and False leave one out."""
    opening = "".join(
        f" {key.rstrip('_').replace('_', '-')}" + ("" if value is True else f'="{escape(str(value))}"')
        for key, value in attributes.items()
        if value is not None and value is not False
    )
    if name in _VOID:
        return Html(f"<{name}{opening}>")
    return Html(f"<{name}{opening}>{markup(*content)}</{name}>")


def address(*steps: str, **query: str | None) -> str:
    """Return a path of this page: `address("datasets", id)`; None leaves a parameter out."""
    path = "/" + "/".join(quote(step, safe="") for step in steps)
    given = {key: value for key, value in query.items() if value is not None}
    return f"{path}?{urlencode(given)}" if given else path


def link(href: str, *content: Content) -> Html:
    """Return a link within the page."""
    return element("a", *content, href=href)


def badge(text: str, kind: str = "") -> Html:
    """Return a short mark; `kind` is "", `good`, `bad` or `note`."""
    return element("span", text, class_=f"badge {kind}".rstrip())


def code(value: Content) -> Html:
    """Return an id, a name of a field, or another piece of text that machines read."""
    return element("code", value)


def copyable(text: str, shown: Content = None) -> Html:
    """Return a text that machines read with a button that copies it, which only a browser with scripts shows.

    Args:
        text: What is copied.
        shown: What is there to read; None for the text itself.
    """
    button = element("button", "copy", type="button", class_="copy", data_copy=text, title=f"Copy {text}"[:200])
    return element("span", code(text) if shown is None else shown, " ", button, class_="copyable")


def heading(text: Content, level: int = 2) -> Html:
    return element(f"h{level}", text)


def note(*content: Content) -> Html:
    """Return a paragraph of explanation."""
    return element("p", *content, class_="note")


class Column(NamedTuple):
    """A column of a table: its heading, and whether it holds numbers."""

    title: str
    numeric: bool = False


def table(columns: Sequence[Column | str], rows: Iterable[Sequence[Content]], empty: Content) -> Html:
    """Return a table, which turns into a list of cards on narrow screens; `empty` stands in for one without rows."""
    heads = [Column(each) if isinstance(each, str) else each for each in columns]
    body = [
        element(
            "tr",
            *(
                element("td", element("div", cell), data_label=head.title, class_="number" if head.numeric else None)
                for head, cell in zip(heads, row, strict=True)
            ),
        )
        for row in rows
    ]
    if not body:
        return note(empty)
    head_row = element(
        "tr", *(element("th", each.title, scope="col", class_="number" if each.numeric else None) for each in heads)
    )
    return element("table", element("thead", head_row), element("tbody", *body))


def tiles(figures: Mapping[str, str], *, alarming: Collection[str] = ()) -> Html:
    """Return the figures that matter most, large.

    Args:
        figures: By their names.
        alarming: The names of those that stand out unless they are 0.
    """
    return element(
        "dl",
        *(
            element(
                "div",
                element("dt", name),
                element("dd", value, class_="alert" if name in alarming and value != "0" else None),
            )
            for name, value in figures.items()
        ),
        class_="tiles",
    )


def facts(pairs: Mapping[str, Content]) -> Html:
    """Return the facts about one thing, as terms and descriptions."""
    return element("dl", *(markup(element("dt", term), element("dd", value)) for term, value in pairs.items()))


def folded(key: str, summary: Content, *content: Content, opened: bool = False, about: Content | None = None) -> Html:
    """Return content that a click unfolds.

    Args:
        key: By which the self-refresh keeps it unfolded.
        summary: What is clicked, without links: screen readers take all of it for one button.
        content: What is unfolded.
        opened: It is unfolded already.
        about: What is always there, with links.
    """
    fold = element("details", element("summary", summary), *content, id=key, open=opened)
    if about is None:
        return fold
    return element("div", fold, element("div", about, class_="about"), class_="entry", id=f"{key}-entry")


def json_block(content: bytes | object, *, most: int | None = MAX_JSON_CHARS, whole: str | None = None) -> Html:
    """Return a JSON value, or bytes that hold one, for reading and copying.

    Args:
        content: The value.
        most: Where it is cut, in characters; None for not at all.
        whole: Address of a page that has all of it.
    """
    if not isinstance(content, bytes):
        content = orjson.dumps(content, option=orjson.OPT_INDENT_2)
    elif len(content) <= MAX_PRETTY_BYTES:
        with suppress(orjson.JSONEncodeError):  # nested too deeply to be written again: shown as it is
            content = orjson.dumps(orjson.loads(content), option=orjson.OPT_INDENT_2)
    text = content.decode(errors="replace")
    if most is None or len(text) <= most:
        return block(text)
    rest = f"… {len(text) - most:,} more characters"
    return element("pre", text[:most], "\n", link(whole, rest) if whole else rest)


def shortened(text: str) -> str:
    """Return a text that fits into a list: of a very long one its beginning and its end."""
    if len(text) <= MAX_SHOWN_CHARS:
        return text
    half = MAX_SHOWN_CHARS // 2
    return f"{text[:half]} … {text[-half:]}"


def block(text: str) -> Html:
    """Return a text of several lines with a button that copies it."""
    button = element("button", "copy", type="button", class_="copy", title="Copy this text")
    return element("div", element("pre", text), button, class_="block")


def utc(epoch_ms: float) -> datetime:
    """Return a time to the second; the first or last that Python has for one beyond, as an offset can make it."""
    return _EPOCH + timedelta(seconds=min(max(epoch_ms // 1000, _FIRST_S), _LAST_S))


def moment(epoch_ms: float) -> Html:
    """Return a time in UTC, to the second."""
    when = utc(epoch_ms)
    return element("time", when.strftime("%Y-%m-%d %H:%M:%S"), datetime=when.strftime("%Y-%m-%dT%H:%M:%SZ"))


def number(value: Any) -> str:
    """Return a number with its thousands apart; a dash for None."""
    return "–" if value is None else f"{value:,}"


def _markup_of(content: Content) -> str:
    if content is None:
        return ""
    return content if isinstance(content, Html) else escape(str(content))
