"""The values that a pipeline is built from, as the options' defaults make them."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import is_dataclass, replace
from functools import cache
from pathlib import Path
from typing import Any, TypeVar, cast

from pipelines.destinations.aep.kind import AEP
from pipelines.destinations.kinesis import KINESIS
from pipelines.options.merge import parse
from pipelines.runtime.kinesis_plan import KinesisPlan, make_kinesis_plan
from pipelines.runtime.plan import Plan, make_plan

_Value = TypeVar("_Value")
_PACKAGES = ("aep.", "kinesis.", "transforms.", "pipelines.runtime.")  # the last for the plan itself

# What has no default and must be given; the credentials, so that there is a client to make of them.
_NEEDED = {
    "kafka_bootstrap_servers": "127.0.0.1:9092",
    "kafka_topics": "events",
    "aep_inlet_url": "https://dcs.adobedc.net/collection/inlet",
    "aep_dataset_id": "5f0e1d2c3b4a596877665544",
    "aep_client_id": "client",
    "aep_client_secret": "env:AEP_CLIENT_SECRET",
    "xdm_schema_file": str(Path(__file__).parents[1] / "configs" / "schemas" / "loyalty-event.schema.json"),
    "kinesis_stream": "profiles",
    "dead_letter_path": "dead-letters",
}


def by_default(kind: type[_Value], **changes: Any) -> _Value:
    """Return the value of a kind that a pipeline has whose options are at their defaults.

    Args:
        kind: A dataclass of `aep`, `kinesis` or `transforms`.
        changes: Fields with other values.
    """
    found: Any = next(value for value in values_of(default_plans()) if isinstance(value, kind))
    return cast(_Value, replace(found, **changes))


@cache
def default_plans() -> tuple[Plan, Plan, KinesisPlan]:
    """Return the plans of pipelines with all that has a default left at it: to AEP, to Kinesis, and from Kinesis."""
    settings = parse([f"--{name}={value}" for name, value in _NEEDED.items()], lambda _: ())
    return make_plan(settings, AEP), make_plan(settings, KINESIS), make_kinesis_plan(settings)


def values_of(value: object) -> Iterator[Any]:
    """Yield the dataclasses of these packages that a value is made of, from the outermost inwards."""
    inner: Iterable[object]
    if isinstance(value, list | tuple):
        inner = value
    elif isinstance(value, dict):
        inner = value.values()
    elif type(value).__module__.startswith(_PACKAGES):
        inner = vars(value).values()
        if is_dataclass(value):
            yield value
    else:
        return
    for part in inner:
        yield from values_of(part)
