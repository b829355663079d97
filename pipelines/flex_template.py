"""deploy/dataflow/metadata.json, made from the declarations of the options: `python -m pipelines.flex_template`.

What Dataflow asks for, and checks, when the Flex Template is launched ("Metadata parameters" of "Package Dataflow
pipelines by using Flex Templates"). The launcher hands parameters to the pipeline as `--NAME=VALUE`.
"""

from __future__ import annotations

import re
import sys
from typing import Any, get_args

import orjson

from aep.http.secrets import REFERENCE
from pipelines.options.declarations import GROUPS
from pipelines.options.table import OPTIONS, Option
from pipelines.options.types import SecretReference
from pipelines.options.yaml_files import dump

_GROUPS = ("kafka", "aep", "xdm", "map", "batch", "dead_letter", "receipt", "general")

# What only the process that starts the job would do, and the launcher's is gone when the job begins; or a local run.
_OF_THE_START = {"print_options", "processes", "progress", "report_file", "shutdown_seconds", "summary_file"}

_IMAGE = {
    "name": "sdk_container_image",
    "label": "Image of the workers",
    "helpText": "The image that the workers run, with beam-aep and its packages. This template's own image is one.",
    "isOptional": False,
}

_REGEXES = {"bool": "true|false", "int": r"-?[0-9]+", "float": r"[0-9]*\.?[0-9]+([eE][-+]?[0-9]+)?"}


def metadata() -> dict[str, Any]:
    """Return what Dataflow knows of the template."""
    return {
        "name": "Kafka to Adobe Experience Platform",
        "description": "Carries events from Kafka topics, checked against their XDM schemas, into AEP's datasets.",
        "streaming": True,
        "supportsAtLeastOnce": True,
        "supportsExactlyOnce": False,
        "defaultStreamingMode": "AT_LEAST_ONCE",
        "parameters": [_IMAGE, *(_parameter(option) for option in OPTIONS.values() if is_parameter(option))],
    }


def is_parameter(option: Option) -> bool:
    """Return whether an option is a parameter.

    Parameters show in the job's page. One that holds a secret among other things, as `kafka_config` does, would show it
    before the pipeline could refuse it, so it goes into an options file in the image; references to secrets are safe.
    """
    may_show_secret = option.secret and not _is_reference(option)
    return option.group in _GROUPS and option.name not in _OF_THE_START and not may_show_secret


def _is_reference(option: Option) -> bool:
    return SecretReference in get_args(GROUPS[option.group][1].model_fields[option.field].annotation)


def _parameter(option: Option) -> dict[str, Any]:
    title = (GROUPS[option.group][1].__doc__ or "").partition(":")[0]
    default = "" if option.default in (None, (), {}, "") else f" Default: {_text(option.default)}."
    unit = f" Unit: {option.unit}." if option.unit and option.kind != "list" else ""
    parameter = {
        "name": option.name,
        "label": f"{title}: {option.field.replace('_', ' ')}",
        "helpText": option.help + unit + default,
        "isOptional": True,  # an options file may have any of them
    }
    regex = _regex(option)
    return {**parameter, "regexes": [regex]} if regex else parameter


def _regex(option: Option) -> str | None:
    """Return what each valid value matches; None where that says nothing. `null` is a value where it is one."""
    if _is_reference(option):
        regex = re.sub(r"\(\?P<\w+>", "(", REFERENCE.pattern)
    elif option.kind == "str" and (choices := option.type.removesuffix(" or null")) != "str" and " or " not in choices:
        regex = "|".join(re.escape(choice) for choice in choices.split("|"))
    else:
        regex = _REGEXES.get(option.kind, "")
    return f"^({regex}{'|null' if option.nullable else ''})$" if regex else None


def _text(value: Any) -> str:
    return value if isinstance(value, str) else dump(list(value) if isinstance(value, tuple) else value)


if __name__ == "__main__":
    sys.stdout.write(orjson.dumps(metadata(), option=orjson.OPT_INDENT_2).decode() + "\n")
