"""What is wrong with YAML, in the words of who writes it: libyaml's are those of who parses it."""

from __future__ import annotations

import re

import yaml

_OPENING = {"flow sequence": "[", "flow mapping": "{"}
_CLOSING = {"[": "]", "{": "}"}
_CANNOT_BEGIN = re.compile(r"found character '(.+)' that cannot start any token")
_UNKNOWN_ESCAPE = re.compile(r"found unknown escape character '(.)'")


def in_plain_words(error: yaml.MarkedYAMLError, text: str) -> tuple[int | None, str]:
    """Return the line, from 1, to look at, and what is wrong there; nothing of the text, which may be secret.

    Args:
        error: Of PyYAML's parser or constructor.
        text: What it was reading.
    """
    context, problem = error.context or "", error.problem or ""
    here, begun = _line(error.problem_mark), _line(error.context_mark)
    for kind, opening in _OPENING.items():
        if kind in context:
            return begun, f"an unclosed {opening}, or a comma missing between what is in it"
    if "flow node" in context:
        line, opening = _unclosed(text[: error.problem_mark.index if error.problem_mark else None])
        return line or here, f"an unclosed {opening}"
    if "quoted scalar" in context:
        if escape := _UNKNOWN_ESCAPE.search(problem):
            return here, f"\\{escape[1]} in double quotes: write \\\\ for a backslash, or use single quotes"
        return begun, "a quotation mark that is not closed"
    if found := _CANNOT_BEGIN.search(problem):
        if found[1] in ("\t", "\\t"):
            return here, "a tab: YAML is indented with blanks only"
        return here, f"a value cannot begin with {found[1]}: put it in quotation marks"
    if "mapping values are not allowed" in problem:
        if ": " in _before(error.problem_mark, text):
            return here, "a second colon in this line: put the value in quotation marks"
        return (
            here,
            "wrong indentation: this line is further in than its neighbours, or the line before lacks its colon",
        )
    if "could not find expected ':'" in problem:
        return begun, "a line without a colon after its name, or a name that is not closed"
    if stray := re.search(r"found '([]},])'", problem):
        return here, f"a {stray[1]} that nothing opened"
    if "block mapping" in context or "block collection" in context:
        if "'<scalar>'" in problem:
            return here, "something after a closing quotation mark: write '' for ' inside single quotes"
        return here, "wrong indentation: this line does not line up with those above"
    if "'<document start>'" in problem:
        return here, "the value above is whole already, so this cannot follow it"
    if "expected a single document" in context:
        return here, "a second document (---): give one"
    words = ", ".join(part for part in (context, problem) if part)
    # A password that starts with one of these looks like YAML's own syntax, which PyYAML would then quote.
    return here, re.sub(r"(alias|anchor|handle) '.*", r"\1 (quote a value that starts with *, & or !)", words)


def _line(mark: yaml.Mark | None) -> int | None:
    return None if mark is None else int(mark.line) + 1


def _before(mark: yaml.Mark | None, text: str) -> str:
    """Return what is before a place in its line."""
    return "" if mark is None else text[: mark.index].rpartition("\n")[2]


def _unclosed(text: str) -> tuple[int | None, str]:
    """Return the line of the last bracket that is not closed, and the bracket."""
    opened: list[tuple[int, str]] = []
    for number, line in enumerate(text.splitlines(), start=1):
        for character in line:
            if character in _CLOSING:
                opened.append((number, character))
            elif opened and character == _CLOSING[opened[-1][1]]:
                opened.pop()
    return opened[-1] if opened else (None, "[ or {")
