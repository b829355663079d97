"""Configurations of Kafka Connect connectors: Java's .properties, and the JSON of Connect's REST API."""

from __future__ import annotations

import codecs
import json
import re
from pathlib import Path
from typing import Any

from aep.errors import UserError

_ESCAPED = {"t": "\t", "n": "\n", "r": "\r", "f": "\f"}


class ConnectorFileError(UserError):
    """A file is not a configuration of a connector: which, where, and why. Never holds a value, which may be secret."""


def read_connector(path: str) -> dict[str, str]:
    """Read the properties of a connector, its `name` among them if the file has one.

    The first character tells JSON from .properties. It is what Connect's REST API takes and gives: `{"name",
    "config": {...}}`, or the bare configuration. Scalars become text and nulls are left out, as Connect does it.

    Raises:
        ConnectorFileError: The file can't be read, or is neither.
    """
    try:
        data = Path(path).read_bytes()
    except OSError as error:
        raise ConnectorFileError(f"{path}: can't read this file: {error.strerror or error}") from None
    if b"\0" in data:
        raise ConnectorFileError(f"{path}: is neither a .properties file nor JSON: it has NUL bytes")
    text = data.decode("utf-8-sig", "replace").lstrip()
    if text.startswith(("{", "[")):
        return _from_json(data, path)
    # Java reads .properties as ISO 8859-1; what is beyond it is written as \uXXXX (java.util.Properties).
    return _from_properties(data.removeprefix(codecs.BOM_UTF8).decode("latin-1"), path)


def _from_json(data: bytes, path: str) -> dict[str, str]:
    try:
        document = json.loads(data.decode("utf-8-sig"))
    except UnicodeDecodeError as error:
        raise ConnectorFileError(f"{path}: is not UTF-8 text (byte {error.start})") from None
    except json.JSONDecodeError as error:
        raise ConnectorFileError(f"{path}:{error.lineno}:{error.colno}: not JSON: {error.msg}") from None
    except RecursionError:
        raise ConnectorFileError(f"{path}: not a connector's configuration: nested too deeply") from None
    if not isinstance(document, dict):
        raise ConnectorFileError(f'{path}: must be one connector, such as {{"name": ..., "config": {{...}}}}')
    config = document.get("config", document)
    if not isinstance(config, dict):
        raise ConnectorFileError(f"{path}: config: must be an object of property names to values")
    if config is not document and "name" in document:
        config = {"name": document["name"], **config}
    return {name: _scalar(value, name, path) for name, value in config.items() if value is not None}


def _scalar(value: Any, name: str, path: str) -> str:
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, str | int | float):
        return str(value)
    raise ConnectorFileError(f"{path}: {name}: must be text, a number or a boolean (objects are written as text)")


def _from_properties(text: str, path: str) -> dict[str, str]:
    """Return the properties by java.util.Properties' rules; of duplicate keys the last value counts."""
    properties = {}
    for number, line in _logical_lines(text):
        # The key ends at the first = or : or blank that is not escaped.
        match = re.match(r"((?:\\.|[^\\=:\s])*)[ \t\f]*[=:]?[ \t\f]*(.*)", line, re.DOTALL)
        assert match is not None  # every part may be empty
        try:
            properties[_unescape(match[1])] = _unescape(match[2])
        except ValueError:
            raise ConnectorFileError(f"{path}:{number}: not a .properties file: \\u needs four hex digits") from None
    return properties


def _logical_lines(text: str) -> list[tuple[int, str]]:
    """Return lines with their numbers (from 1), continuations joined, without blank ones and comments."""
    lines: list[tuple[int, str]] = []
    goes_on = False
    for number, natural in enumerate(re.split(r"\r\n|\n|\r", text), start=1):
        line = natural.lstrip(" \t\f")
        if not goes_on and (not line or line[0] in "#!"):
            continue
        backslashes = len(line) - len(line.rstrip("\\"))
        part = line[:-1] if backslashes % 2 else line
        if goes_on:
            first, before = lines.pop()
            lines.append((first, before + part))
        else:
            lines.append((number, part))
        goes_on = backslashes % 2 == 1
    return lines


def _unescape(text: str) -> str:
    def plain(match: re.Match[str]) -> str:
        if match[1] == "u":
            if match[2] is None:
                raise ValueError
            return chr(int(match[2], 16))
        return _ESCAPED.get(match[1], match[1])

    # Pairs of \u escapes stand for one character beyond the basic plane, as Java has it.
    text = re.sub(r"\\(u(?=([0-9A-Fa-f]{4}))|.)(?(2)[0-9A-Fa-f]{4})", plain, text, flags=re.DOTALL)
    return text.encode("utf-16", "surrogatepass").decode("utf-16", "replace")
