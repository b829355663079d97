"""The files that an imported connector becomes: options, a JSON Patch, routes. Text that the pipeline reads back."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from pipelines.cli.import_connector.importing import Imported
from pipelines.options.table import OPTIONS
from pipelines.options.yaml_files import dump

OPTIONS_FILE, PATCH_FILE, ROUTES_FILE = "options.yaml", "map.yaml", "routes.yaml"


def files_of(imported: Imported, folder: str, source: str) -> dict[str, str]:
    """Return the content of each file by its name.

    Args:
        imported: What to write.
        folder: Where the files will stand, as the options are to name it.
        source: The connector's file, to say where all this is from.
    """
    head = f"# The connector {imported.name}, from {source} by `beam-aep import-connector`.\n"
    files = {}
    options = dict(imported.options)
    if imported.patch:
        options["map_file"] = f"{folder}/{PATCH_FILE}"
        files[PATCH_FILE] = head + _items(imported.patch, "")
    if imported.routes:
        options["routes_file"] = f"{folder}/{ROUTES_FILE}"
        files[ROUTES_FILE] = head + "routes:\n" + "".join(_route(route) for route in imported.routes)
    head += "# Paths are from the folder in which a run is started.\n"
    return {OPTIONS_FILE: head + _options(options), **files}


def _options(options: Mapping[str, Any]) -> str:
    """In the order of their declaration, a blank line between groups."""
    text, group = "", ""
    for name, option in OPTIONS.items():
        if name in options:
            text += "" if option.group == group else "\n"
            group = option.group
            text += _entry(name, options[name], "")
    return text


def _route(route: Mapping[str, Any]) -> str:
    text = "".join(_entry(name, value, "    ") for name, value in route.items())
    return "  - " + text.removeprefix("    ")


def _entry(name: str, value: Any, indent: str) -> str:
    if isinstance(value, dict):
        rows = "".join(f"{indent}  {dump(key)}: {dump(item)}\n" for key, item in value.items())
        return f"{indent}{name}:\n{rows}"
    if isinstance(value, list) and value and isinstance(value[0], dict):
        return f"{indent}{name}:\n{_items(value, indent + '  ')}"
    return f"{indent}{name}: {dump(value)}\n"


def _items(items: list[Any], indent: str) -> str:
    return "".join(f"{indent}- {dump(item)}\n" for item in items)
