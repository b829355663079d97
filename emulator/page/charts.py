"""Small charts as SVG, without scripts or styles of their own: colours and sizes are in page.css."""

from __future__ import annotations

from collections.abc import Sequence

from emulator.page.markup import Html, element

_WIDTH, _HEIGHT = 300, 48  # in units of the drawing, which is stretched to its place


def sparkline(values: Sequence[float], label: str) -> Html:
    """Return a line with the area below it, from the oldest value to the newest; the largest reaches the top.

    Args:
        values: At least two.
        label: What screen readers say.
    """
    top = max(values) or 1
    step = _WIDTH / (len(values) - 1)
    points = [f"{number * step:.1f},{_HEIGHT - value / top * (_HEIGHT - 2):.1f}" for number, value in enumerate(values)]
    line = " ".join(points)
    return _drawing(
        label,
        element("polygon", points=f"0,{_HEIGHT} {line} {_WIDTH},{_HEIGHT}", class_="area"),
        element("polyline", points=line, class_="line"),
    )


def bars(values: Sequence[float], titles: Sequence[str], label: str) -> Html:
    """Return a bar for each value; the largest reaches the top.

    Args:
        values: At least one.
        titles: What is shown of each where the pointer is.
        label: What screen readers say.
    """
    top = max(values) or 1
    step = _WIDTH / len(values)
    shown = []
    for number, (value, title) in enumerate(zip(values, titles, strict=True)):
        height = value / top * (_HEIGHT - 2)
        shown.append(
            element(
                "rect",
                element("title", title),
                x=f"{number * step:.1f}",
                y=f"{_HEIGHT - height:.1f}",
                width=f"{step * 0.8:.1f}",
                height=f"{height:.1f}",
            )
        )
    return _drawing(label, *shown)


def _drawing(label: str, *shapes: Html) -> Html:
    return element(
        "svg",
        *shapes,
        viewBox=f"0 0 {_WIDTH} {_HEIGHT}",
        preserveAspectRatio="none",
        role="img",
        aria_label=label,
        class_="chart",
    )
