"""The result of merging all options: typed values, and where each came from."""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from aep.http import secrets
from pipelines.options.aep import AepOptions
from pipelines.options.beam import beam_flags, own_flag, runner_name
from pipelines.options.declarations import (
    BatchOptions,
    DeadLetterOptions,
    GeneralOptions,
    OutputOptions,
    ReceiptOptions,
    ReplayOptions,
)
from pipelines.options.kafka import KafkaOptions
from pipelines.options.kinesis import KinesisOptions
from pipelines.options.table import OPTIONS, Option
from pipelines.options.xdm import MapOptions, XdmOptions
from pipelines.options.yaml_files import dump

DEFAULT = "default"
# They say where options come from, or what to do instead of a run; neither belongs to the merged result.
_NOT_MERGED = ("options_file", "print_options")


@dataclass(frozen=True)
class Settings:
    """All options of a run.

    Attributes:
        beam: Values of Beam's own options by name, as far as they were given.
        origins: For each option given, and for each `name[key]` of a mapping: FILE:LINE or `command line`.
    """

    kafka: KafkaOptions
    aep: AepOptions
    kinesis: KinesisOptions
    xdm: XdmOptions
    map: MapOptions
    batch: BatchOptions
    dead_letter: DeadLetterOptions
    receipt: ReceiptOptions
    output: OutputOptions
    replay: ReplayOptions
    general: GeneralOptions
    beam: Mapping[str, Any]
    origins: Mapping[str, str]

    @property
    def runner(self) -> str:
        """The runner's full name."""
        name = self.beam.get("runner") or "DirectRunner"
        return runner_name(name) or name

    @property
    def runner_class(self) -> str:
        """The name of the runner's class, without its module."""
        return self.runner.rsplit(".", 1)[-1]

    @property
    def on_dataflow(self) -> bool:
        """Whether the job goes to Google Cloud Dataflow."""
        return self.runner_class == "DataflowRunner"

    @property
    def dry_run(self) -> bool:
        """Whether the job is only constructed, by Beam's own option."""
        return self.beam.get("dry_run") is True

    @property
    def beam_flags(self) -> list[str]:
        """Flags for `PipelineOptions(flags)`: Beam's options, and of ours those that differ from the default."""
        own = [
            own_flag(option, value)
            for option in OPTIONS.values()
            if option.name not in _NOT_MERGED and (value := self.value(option)) != option.default and value is not None
        ]
        return beam_flags(self.beam) + own

    def value(self, option: Option) -> Any:
        return getattr(getattr(self, option.group), option.field)

    def origin(self, name: str) -> str:
        """Return where an option's value came from: FILE:LINE, `command line` or `default`."""
        return self.origins.get(name, DEFAULT)

    def as_table(self) -> list[tuple[str, str, str]]:
        """Return name, value and origin of every option, ours first; secrets show as their references or not at all.

        Headers have no references: of those that may be secret, by their names, the value is left out.
        """
        return [(name, dump(_without_keys(name, value)), self.origin(name)) for name, value in self._merged()]

    def as_yaml(self, *, differing: bool = False) -> str:
        """Return the merged options as an options file, with the origin of each as a comment.

        It means the same, but for a password in an address of Beam's, which is not shown.

        Args:
            differing: Leave out those of ours that have their default.
        """
        lines = []
        for name, value in self._merged():
            if differing and name in OPTIONS and self.value(OPTIONS[name]) == OPTIONS[name].default:
                continue
            if isinstance(value, dict) and value and name in OPTIONS:
                lines.append(f"{name}:")
                lines += [
                    f"  {dump(key)}: {dump(item)}  # {_comment(self.origin(f'{name}[{key}]'))}"
                    for key, item in value.items()
                ]
            else:
                lines.append(f"{name}: {dump(value)}  # {_comment(self.origin(name))}")
        return "\n".join(lines) + "\n"

    def _merged(self) -> list[tuple[str, Any]]:
        own = [(option.name, self.value(option)) for option in OPTIONS.values() if option.name not in _NOT_MERGED]
        values = own + [(name, _without_logins(name, value)) for name, value in self.beam.items()]
        return [(name, list(value) if isinstance(value, tuple) else value) for name, value in values]


def _without_logins(name: str, value: Any) -> Any:
    """Return a value of Beam's option without user names and passwords in its addresses, as `flink_master` may have."""
    if isinstance(value, list):
        return [_without_logins(name, item) for item in value]
    if not isinstance(value, str):
        return value
    if name == "flink_master" and "://" not in value:  # it may be HOST:PORT alone
        return re.sub(r"^.*@", "***@", value)
    return re.sub(r"(?<=://)[^/?#\s]*@", "***@", value)


def _without_keys(name: str, value: Any) -> Any:
    if name != "aep_headers":
        return value
    return {header: "***" if secrets.may_be_in_header(header) else text for header, text in value.items()}


def _comment(origin: str) -> str:
    return origin if origin.isprintable() else ascii(origin)
