"""The words of a rule's text, with their positions. Pure."""

from __future__ import annotations

import json
import re
from typing import Any, Literal, NamedTuple

Kind = Literal["name", "string", "number", "symbol", "end"]

_TOKEN = re.compile(
    r"""(?P<blank>\s+)
    |(?P<name>[^\W\d]\w*)
    |(?P<string>"(?:[^"\\]|\\.)*")
    |(?P<number>-?\d+(?:\.\d+)?(?:[eE][+-]?\d+)?)
    |(?P<symbol><=|>=|!=|[=<>!()\[\],.:])""",
    re.VERBOSE | re.DOTALL,
)


class RuleError(ValueError):
    """A rule that cannot be read, or that needs more of PQL than is evaluated here.

    Attributes:
        position: Where in the text, counted in characters from 1.
    """

    def __init__(self, position: int, problem: str) -> None:
        super().__init__(f"position {position}: {problem}")
        self.position = position


class Token(NamedTuple):
    """A word of a rule.

    Attributes:
        kind: What it is.
        text: As it is written; empty at the end.
        position: Position of its first character, counted from 1.
        value: Value of a string or a number.
    """

    kind: Kind
    text: str
    position: int
    value: Any = None

    @property
    def shown(self) -> str:
        """The token as an error message shows it."""
        return f"'{self.text}'" if self.text else "the end"


def tokenize(text: str) -> list[Token]:
    """Return the tokens of a text, the last one of kind `end`.

    Raises:
        RuleError: Something that is not part of PQL.
    """
    found: list[Token] = []
    at = 0
    while at < len(text):
        match = _TOKEN.match(text, at)
        position = at + 1
        if match is None:
            missing = text[at] == '"'
            raise RuleError(position, "the string has no closing quote" if missing else f"unexpected {text[at]!r}")
        at = match.end()
        if match["name"]:
            found.append(Token("name", match[0], position))
        elif match["string"]:
            found.append(Token("string", match[0], position, _string(match[0], position)))
        elif match["number"]:
            found.append(Token("number", match[0], position, _number(match[0], position)))
        elif match["symbol"]:
            found.append(Token("symbol", match[0], position))
    return [*found, Token("end", "", len(text) + 1)]


def _string(text: str, position: int) -> str:
    try:
        return str(json.loads(text, strict=False))
    except json.JSONDecodeError as error:
        raise RuleError(position + error.pos, "unknown escape in the string; write \\\\ for a backslash") from error


def _number(text: str, position: int) -> int | float:
    if abs(float(text)) > 1e300:  # before it is read as an integer: Python refuses to with thousands of digits
        raise RuleError(position, "the number is too large")
    return float(text) if set(text) & set(".eE") else int(text)
