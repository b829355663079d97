"""HTML from nested calls, with everything escaped that is not markup already."""

from __future__ import annotations

from html import escape


class Markup(str):
    """Text that is HTML already."""

    __slots__ = ()


def element(name: str, /, *children: str | None, **attributes: str | bool | None) -> Markup:
    """Return an element. Children are escaped unless they are markup; None is left out.

    Args:
        attributes: An underscore in a name is a dash, one at its end is left out (`class_`); True is an attribute
            without a value, False and None are none.
    """
    shown = "".join(
        f" {_name(key)}" if value is True else f' {_name(key)}="{escape(str(value))}"'
        for key, value in attributes.items()
        if value is not None and value is not False
    )
    if name in ("meta", "line", "path"):  # of HTML or SVG, without children
        return Markup(f"<{name}{shown}/>")
    return Markup(f"<{name}{shown}>{join(*children)}</{name}>")


def join(*children: str | None) -> Markup:
    """Return children one after another, escaped unless they are markup; None is left out."""
    return Markup("".join(child if isinstance(child, Markup) else escape(child) for child in children if child))


def _name(key: str) -> str:
    return key.rstrip("_").replace("_", "-")
