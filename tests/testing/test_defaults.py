"""An option's default stands once, in its declaration: what is built of options has no defaults of its own."""

from __future__ import annotations

from dataclasses import MISSING, Field, fields
from typing import Any

from testing.defaults import default_plans, values_of
from transforms.aep.inlet import AepInlet
from transforms.records.route import Route

# Fields with a default that no option sets.
NO_OPTION = {
    "AepInlet.content_type",
    "BundleLimits.idle_seconds",
    "BundleLimits.quiet_seconds",
    "KafkaSource.commits",
    "KafkaSource.late_answers",
    "KafkaSource.left_out",
    "KafkaSource.share_group",
    "ResolvedSchema.identities",
    "RetryPolicy.base_seconds",
    "RetryPolicy.max_retry_after_seconds",
}


def has_default(field: Field[Any]) -> bool:
    return field.default is not MISSING or field.default_factory is not MISSING


def leaves_out(field: Field[Any]) -> bool:
    """Return whether a route has none of it by default, which is no choice that an option could make otherwise."""
    return not (field.default if field.default_factory is MISSING else field.default_factory())


def test_what_is_built_of_options_has_no_defaults_of_its_own() -> None:
    having = {
        f"{type(value).__name__}.{field.name}"
        for value in values_of(default_plans())
        for field in fields(value)
        if has_default(field) and not (isinstance(value, Route | AepInlet) and leaves_out(field))
    }
    assert having == NO_OPTION
