"""Whether the secrets that options refer to are there."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from aep.errors import SecretError
from aep.http import secrets
from pipelines.options.readiness import OFFLINE, Check
from pipelines.options.settings import Settings
from pipelines.options.table import OPTIONS


def secret_checks(settings: Settings, local: bool) -> Iterator[Check]:
    """Resolve each reference to a secret that needs no network.

    Args:
        settings: All options.
        local: Whether this machine uses them; False where workers elsewhere do.
    """
    for name, reference in _references(settings):
        subject = f"secret of {name}"
        if not local:
            yield Check(subject, "not checked", f"{reference} is resolved on the workers")
        elif secrets.needs_network(reference):
            yield Check(subject, "not checked", f"{reference}: {OFFLINE}")
        else:
            try:
                secrets.resolve(reference)
            except SecretError as error:
                yield Check(subject, "wrong", str(error))
            else:
                yield Check(subject, "ok", f"{reference} can be read")


@contextmanager
def secrets_named(settings: Settings) -> Iterator[None]:
    """Name the option in the error of a secret that cannot be read.

    Raises:
        SecretError: Of what is done meanwhile.
    """
    try:
        yield
    except SecretError as error:
        raise named(error, settings) from None


def named(error: SecretError, settings: Settings) -> SecretError:
    """Return an error of a secret with the option that refers to it, and where that was given."""
    for name, reference in _references(settings):
        if reference == error.reference:
            return SecretError(f"{name} ({settings.origin(name)}): {error}")
    return error


def _references(settings: Settings) -> Iterator[tuple[str, str]]:
    """Yield each reference, with the option or the entry of a mapping that has it."""
    for option in OPTIONS.values():
        value = settings.value(option) if option.secret else None
        entries = {option.name: value} if not isinstance(value, dict) else _entries(option.name, value)
        for name, item in entries.items():
            if isinstance(item, str) and secrets.is_reference(item):
                yield name, item


def _entries(option: str, mapping: dict[str, str]) -> dict[str, str]:
    return {f"{option}[{key}]": value for key, value in mapping.items()}
