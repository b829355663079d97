"""The frame of every page: navigation, the faults that are on, and what reloads itself."""

from __future__ import annotations

from collections.abc import Mapping
from typing import NamedTuple

from emulator.page.markup import Html, address, badge, code, element, link, markup

REFRESH_S = 2  # with JavaScript a fragment is replaced; without it the page is loaded anew, less often
NO_SCRIPT_REFRESH_S = 5
SECTIONS = {
    "/": "Overview",
    "/events": "Events",
    "/datasets": "Datasets",
    "/schemas": "Schemas",
    "/connections": "Connections",
    "/profiles": "Profiles",
    "/audiences": "Audiences",
    "/streams": "Streams",
    "/faults": "Faults",
}


class View(NamedTuple):
    """A page without its frame.

    Attributes:
        section: Path of the section it belongs to.
        title: Its heading.
        body: What is below the heading.
        live: It shows what changes all the time, and reloads itself.
    """

    section: str
    title: str
    body: Html
    live: bool = False


def render(view: View, faults_on: Mapping[str, Mapping[str, str]], *, here: str, refreshing: bool) -> str:
    """Return the whole page.

    Args:
        view: What it shows.
        faults_on: The switches that are on, by the name of what they are on for.
        here: Its address, without what says whether it reloads itself.
        refreshing: Whether a live view reloads itself.
    """
    live = view.live and refreshing
    head = element(
        "head",
        element("meta", charset="utf-8"),
        element("meta", name="viewport", content="width=device-width, initial-scale=1"),
        element("meta", name="color-scheme", content="light dark"),
        element("title", f"{view.title} – local AEP"),
        element("link", rel="stylesheet", href="/static/page.css"),
        element("link", rel="icon", href="data:,"),
        element("script", src="/static/page.js", defer=True),
        element("noscript", element("meta", http_equiv="refresh", content=str(NO_SCRIPT_REFRESH_S))) if live else None,
    )
    sections = [
        element("a", name, href=path, aria_current="page" if path == view.section else None)
        for path, name in SECTIONS.items()
    ]
    header = element("header", element("strong", "Local AEP"), element("nav", *sections, aria_label="Sections"))
    main = element(
        "main",
        _banner(faults_on),
        element("div", element("h1", view.title), _liveness(view, here, live), class_="title"),
        view.body,
        id="main",
        data_refresh_s=str(REFRESH_S) if live else None,
    )
    footer = element("footer", "A local Adobe Experience Platform for demos and tests. Times are in UTC.")
    return "<!doctype html>\n" + element("html", head, element("body", header, main, footer), lang="en")


def _banner(faults_on: Mapping[str, Mapping[str, str]]) -> Html | None:
    """Return the switches that are on, with the way to switch them off."""
    if not faults_on:
        return None
    lines = [
        element("div", f"for {scope}: ", *(markup(code(f"{name}: {text}"), " ") for name, text in on.items()))
        for scope, on in faults_on.items()
    ]
    text = element("div", link(address("faults"), element("strong", "Faults are on")), *lines)
    clear = element("form", element("button", "Switch all off"), method="post", action="/faults/clear")
    return element("div", text, clear, class_="banner", role="status")


def _liveness(view: View, here: str, live: bool) -> Html | None:
    """Return whether a live view reloads itself, and the link to change that."""
    if not view.live:
        return None
    if live:
        paused = here + ("&" if "?" in here else "?") + "live=no"
        state = markup(element("span", badge("live", "good"), id="live"), " ", link(paused, "pause"))
    else:
        state = markup(badge("paused"), " ", link(here, "go on"))
    return element("span", state, class_="note")
