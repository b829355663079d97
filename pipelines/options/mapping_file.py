"""Files of mappings: a JSON Patch or a field map, as YAML or JSON."""

from __future__ import annotations

import yaml

from aep.mapping.entries import EntriesError
from aep.mapping.field_map import FieldMap
from aep.mapping.json_patch import Patch, PatchDialect
from pipelines.options.types import compile_mapping
from pipelines.options.yaml_files import OptionsError, describe, lines_within, read_node, read_text


def read_mapping(path: str, dialect: PatchDialect) -> Patch | FieldMap:
    """Read the file: a list of operations is a patch of the dialect, a mapping of fields to sources a map.

    Raises:
        OptionsError: With all problems found, one a line, each with file and line.
    """
    text = read_text(path, "mapping")
    if path.endswith(".json"):
        text = text.replace("\t", " ")  # JSON has tabs only between its parts, where YAML has none
    problems: list[str] = []
    with read_node(text, path, problems) as (loader, node):
        if node is not None:
            try:
                value = loader.construct_object(node, deep=True)
                if isinstance(value, list | dict):
                    return compile_mapping(value, dialect)
                problems.append(f"{path}:1: must be a list of operations or a mapping of fields, not {describe(value)}")
            except EntriesError as error:
                lines = lines_within(node)
                first = node.start_mark.line + 1
                problems += [f"{path}:{lines.get(key, first)}: {text}" for key, text in error.entries.items()]
            except yaml.MarkedYAMLError as error:
                mark = error.problem_mark or node.start_mark
                problems.append(f"{path}:{mark.line + 1}: not valid YAML: {error.problem}")
    raise OptionsError(problems or [f"{path}: is empty: give a list of operations or a mapping of fields"])
