"""Beam's own options: recognising them, checking their values, writing them as flags.

Python knows most of them from the parsers of PipelineOptions' subclasses. Those that only Flink's Java side
knows are listed here, because Beam would pass a typo among them over in silence.
"""

import argparse
import json
import re
from collections.abc import Mapping
from typing import Any, Literal, NamedTuple, NoReturn

from apache_beam.options.pipeline_options import PipelineOptions, StandardOptions, _BeamArgumentParser

from pipelines.options.table import OPTIONS, Option

# The Java side's options and their types: FlinkPipelineOptions of the Flink runner.
FLINK_JAVA_OPTIONS: dict[str, type] = {
    "allow_non_restored_state": bool,
    "attached_mode": bool,
    "auto_balance_write_files_sharding_enabled": bool,
    "auto_watermark_interval": int,
    "checkpoint_timeout_millis": int,
    "checkpointing_interval": int,
    "checkpointing_mode": str,
    "disable_metrics": bool,
    "enable_stable_input_drain": bool,
    "execution_mode_for_batch": str,
    "execution_retry_delay": int,
    "externalized_checkpoints_enabled": bool,
    "fail_on_checkpointing_errors": bool,
    "faster_copy": bool,
    "file_input_split_max_size_m_b": int,
    "finish_bundle_before_checkpointing": bool,
    "flink_conf_dir": str,
    "force_slot_sharing_group": bool,
    "force_unaligned_checkpoint_enabled": bool,
    "job_check_interval_in_secs": int,
    "latency_tracking_interval": int,
    "max_bundle_size": int,
    "max_bundle_time_mills": int,
    "min_pause_between_checkpoints": int,
    "num_concurrent_checkpoints": int,
    "number_of_execution_retries": int,
    "object_reuse": bool,
    "operator_chaining": bool,
    "re_iterable_group_by_key_result": bool,
    "report_checkpoint_duration": str,
    "retain_externalized_checkpoints_on_cancellation": bool,
    "savepoint_path": str,
    "shutdown_sources_after_idle_ms": int,
    "state_backend": str,
    "state_backend_storage_path": str,
    "unaligned_checkpoint_enabled": bool,
}
_FLINK_ON_BY_DEFAULT = {
    "attached_mode",
    "fail_on_checkpointing_errors",
    "force_slot_sharing_group",
    "operator_chaining",
}

# Beam takes any text for true, `false` too: they are switches here, and what is off is not passed on.
_TRUE_BY_ANY_TEXT = {"dry_run"}

# Options of Beam's that would carry a credential in plain, visible in the job's UI.
PLAIN_CREDENTIALS = {
    "s3_access_key_id": "set AWS_ACCESS_KEY_ID in the environment of the workers",
    "s3_secret_access_key": "set AWS_SECRET_ACCESS_KEY in the environment of the workers",
    "s3_session_token": "set AWS_SESSION_TOKEN in the environment of the workers",
    "azure_connection_string": "use blob_service_endpoint with azure_managed_identity_client_id",
}

# They keep state in memory or flush it late: a batch that waits in it can be lost.
RUNNERS_WITHOUT_DURABLE_STATE = {"DirectRunner", "FnApiRunner", "PrismRunner"}

# They run in the process that starts them, one bundle after another, each finalised before the next begins.
IN_PROCESS_RUNNERS = frozenset({"DirectRunner", "FnApiRunner"})


class BeamOption(NamedTuple):
    """An option of Beam's: what it sets (`dest`), and how its values are given."""

    name: str
    dest: str
    kind: Literal["flag", "off_flag", "list", "number", "value"]
    java: bool = False


class _Parser(_BeamArgumentParser):
    def error(self, message: str) -> NoReturn:
        raise ValueError(message)


def _parser() -> _Parser:
    parser = _Parser(add_help=False, allow_abbrev=False)
    for options in PipelineOptions.__subclasses__():
        if options is not BeamAepOptions:
            options._add_argparse_args(parser)
    return parser


def known_beam_options() -> dict[str, BeamOption]:
    """Collect the options that Beam knows now, and those of Flink's Java side."""
    known = {}
    for name, value_type in FLINK_JAVA_OPTIONS.items():
        kind: Any = {bool: "flag", int: "number", str: "value"}[value_type]
        known[name] = BeamOption(name, name, kind, java=True)
    for action in _parser()._actions:
        for option_string in action.option_strings:
            name = option_string.removeprefix("--")
            known[name] = BeamOption(name, action.dest, _kind(action))
    return known


def _kind(action: argparse.Action) -> Any:
    if isinstance(action, argparse._StoreFalseAction):
        return "off_flag"
    if action.nargs == 0 or action.dest in _TRUE_BY_ANY_TEXT:
        return "flag"
    if not isinstance(action, argparse._StoreAction):
        return "list"
    return "number" if action.type in (int, float) else "value"


def check_beam_value(option: BeamOption, value: Any) -> str | None:
    """Say what is wrong with a value of Beam's option, or nothing.

    Beam's own parser decides where it can, so types, choices and formats are Beam's.
    """
    if option.name in PLAIN_CREDENTIALS:
        return f"a credential must not be an option: {PLAIN_CREDENTIALS[option.name]}"
    if option.kind in ("flag", "off_flag"):
        return None if isinstance(value, bool) else "expected true or false"
    if option.java:
        is_int = isinstance(value, int) and not isinstance(value, bool)
        if option.kind == "number":
            return None if is_int else "expected int"
        return None if isinstance(value, str) or is_int else "expected str"
    if isinstance(value, list) and option.kind != "list":
        return "expected one value, got a list"
    if option.name == "runner":
        return None if isinstance(value, str) and runner_name(value) else _runners()
    try:
        _parser().parse_known_args(_flags_of(option.name, value))
    except (ValueError, TypeError) as error:  # TypeError: JSON of another shape than an action of Beam's expects
        return re.sub(r"^argument [^:]*: ", "", str(error))
    return None


def runner_name(value: str) -> str | None:
    """Give a runner its full name as Beam does (flink -> FlinkRunner); None where there is no such runner."""
    names = {name.lower(): name for name in StandardOptions.KNOWN_RUNNER_NAMES}
    short = value.lower()
    return names.get(short) or names.get(short + "runner") or (value if "." in value else None)


def _runners() -> str:
    return f"no such runner; Beam has {', '.join(StandardOptions.KNOWN_RUNNER_NAMES)}"


def beam_flags(values: Mapping[str, Any]) -> list[str]:
    """Write values of Beam's options, by name, as flags that PipelineOptions parses back."""
    known = known_beam_options()
    # With an uber jar Python passes Java's options on unread; with a job server it parses them, and what is
    # on by default becomes a flag that switches off.
    uber_jar = values.get("flink_submit_uber_jar") is True
    flags = []
    for name, value in values.items():
        option = known[name]
        if value is None:
            continue
        if option.kind not in ("flag", "off_flag"):
            flags += _flags_of(name, value)
        elif name in _FLINK_ON_BY_DEFAULT:
            if value is False:
                flags.append(f"--{name}=false" if uber_jar else f"--{name}")
        elif name in _TRUE_BY_ANY_TEXT:
            flags += [f"--{name}=true"] if value is True else []
        elif value is True:
            flags.append(f"--{name}")
        else:  # only the opposite flag, where Beam has one, can say no
            opposite = "flag" if option.kind == "off_flag" else "off_flag"
            flags += [f"--{o.name}" for o in known.values() if o.dest == option.dest and o.kind == opposite]
    return flags


def _flags_of(name: str, value: Any) -> list[str]:
    return [f"--{name}={_text(item)}" for item in (value if isinstance(value, list) else [value])]


def _text(value: Any) -> str:
    return value if isinstance(value, str) else json.dumps(value)


def own_flag(option: Option, value: Any) -> str:
    """Write a value of one of our options as a flag that BeamAepOptions parses back."""
    return f"--{option.name}={_text(list(value) if isinstance(value, tuple) else value)}"


class BeamAepOptions(PipelineOptions):
    """Our options as Beam sees them, so that it shows them with the job and does not call them unknown."""

    @classmethod
    def _add_argparse_args(cls, parser: argparse.ArgumentParser) -> None:
        types: dict[str, Any] = {"int": int, "float": float, "str": str}
        for option in OPTIONS.values():
            default = list(option.default) if isinstance(option.default, tuple) else option.default
            parser.add_argument(
                f"--{option.name}",
                type=types.get(option.kind, json.loads),
                default=default,
                help=option.help.replace("%", "%%"),
            )
