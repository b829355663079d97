"""An option's default stands once, in its declaration: what is built of options has no defaults of its own."""

from __future__ import annotations

from dataclasses import MISSING, fields

from testing.defaults import default_plan, values_of

# Fields with a default that no option sets.
NO_OPTION = {
    "BundleLimits.idle_seconds",
    "KafkaSource.left_out",
    "KafkaSource.share_group",
    "ResolvedSchema.identities",
    "RetryPolicy.base_seconds",
    "RetryPolicy.max_retry_after_seconds",
    "XdmRules.tenant",
}


def test_what_is_built_of_options_has_no_defaults_of_its_own() -> None:
    having = {
        f"{type(value).__name__}.{field.name}"
        for value in values_of(default_plan())
        for field in fields(value)
        if field.default is not MISSING or field.default_factory is not MISSING
    }
    assert {name for name in having if not name.startswith(("Route.", "AepInlet."))} == NO_OPTION
