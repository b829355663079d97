"""The switches for faults as a form: its fields, what is typed into them, and which faults are on. Pure functions.

An empty field means that its switch is not set: then it has its default, or for a single inlet what is set for all.
"""

from __future__ import annotations

import inspect
import re
from collections.abc import Mapping
from typing import Any, Literal, get_args, get_origin

from pydantic import ValidationError

from emulator.api.faults import Faults
from emulator.page.markup import Html, code, element, markup

GROUPS: Mapping[str, tuple[str, ...]] = {
    "Requests": (
        "rate",
        "retry_after",
        "latency_ms",
        "jitter_ms",
        "outage_s",
        "outage_mode",
        "reset_rate",
        "reset_when",
        "max_body_bytes",
        "sync_supported",
    ),
    "Answers to batches": ("element_rate", "dialect", "responses", "responses_rate"),
    "Access tokens": ("token_ttl_s", "token_milliseconds", "ims_status"),
    "Schema Registry": ("unseen_lookups",),
    "Flow Service": ("activation_reply",),
    "Export of profiles": ("backfill_s", "membership_statuses"),
    "Random numbers": ("seed",),
}
NAMES = [name for names in GROUPS.values() for name in names]
FOR_ALL_ONLY = frozenset(GROUPS) - {"Requests", "Answers to batches"}  # these know no inlets
ORDERS = frozenset(["outage_s", "seed"])  # something to do now: left empty it is not done again

_ATTRIBUTE = re.compile(r"^ {4}(\w+): (.*)$")
_CODE = re.compile(r"`([^`]*)`")
_WORDS = {"yes": True, "no": False}


class FormError(ValueError):
    """The input of the form is not valid; `errors` has the reasons by field."""

    def __init__(self, errors: Mapping[str, str]) -> None:
        super().__init__("; ".join(f"{name}: {text}" for name, text in errors.items()))
        self.errors = errors


def help_texts() -> dict[str, str]:
    """Return what each switch does, from the documentation of `Faults`."""
    _, _, attributes = inspect.cleandoc(Faults.__doc__ or "").partition("Attributes:\n")
    found: dict[str, str] = {}
    name = ""
    for line in attributes.splitlines():
        begins = _ATTRIBUTE.match(line)
        if begins:
            name = begins[1]
            found[name] = begins[2]
        elif name:
            found[name] += " " + line.strip()
    return found


def typed(switches: Mapping[str, Any]) -> dict[str, str]:
    """Return what the fields hold for the switches that are set."""
    return {name: _text(value) for name, value in switches.items() if name not in ORDERS and name in _TYPES}


def read(form: Mapping[str, str]) -> dict[str, Any]:
    """Return the switches that were typed into the form.

    Raises:
        FormError: A value that cannot be used.
    """
    values: dict[str, Any] = {}
    errors: dict[str, str] = {}
    for name, text in form.items():
        if not text.strip():
            continue
        try:
            values[name] = _value(name, text.strip())
        except ValueError as error:
            errors[name] = str(error)
    try:
        checked = Faults.model_validate(values)
    except ValidationError as error:
        for found in error.errors():
            # of a switch that may be a number or text the last one is about the text
            errors[str(found["loc"][0])] = found["msg"].removeprefix("Value error, ")
        raise FormError(errors) from error
    if errors:
        raise FormError(errors)
    return checked.model_dump(include=set(values))


def on_now(shown: Mapping[str, Any], names: Mapping[str, str], now: float) -> dict[str, dict[str, str]]:
    """Return the switches that make a difference now, by what they are on for.

    Args:
        shown: What `FaultState.shown` tells.
        names: Names of the inlets by id.
        now: Seconds since the epoch.
    """
    scopes = {"all inlets": {key: value for key, value in shown.items() if key != "inlets"}}
    for inlet_id, switches in shown.get("inlets", {}).items():
        scopes[f"inlet {names.get(inlet_id, inlet_id)} ({inlet_id[:8]})"] = switches
    found = {scope: _active(switches, now) for scope, switches in scopes.items()}
    return {scope: switches for scope, switches in found.items() if switches}


def fields(values: Mapping[str, str], errors: Mapping[str, str], *, for_all: bool) -> Html:
    """Return the fields of the form.

    Args:
        values: What they hold.
        errors: What was wrong with it.
        for_all: The form is for all inlets, not for one.
    """
    helped = help_texts()
    groups = []
    for title, names in GROUPS.items():
        if for_all or title not in FOR_ALL_ONLY:
            shown = [_field(name, values.get(name, ""), helped.get(name, ""), errors.get(name)) for name in names]
            groups.append(element("fieldset", element("legend", title), *shown))
    return markup(*groups)


def _field(name: str, value: str, help_text: str, error: str | None) -> Html:
    choices = _choices(name)
    default = _text(Faults.model_fields[name].get_default(call_default_factory=True))
    about: dict[str, str | None] = {
        "id": name,
        "name": name,
        "aria_describedby": f"{name}-help",
        "aria_invalid": "true" if error else None,
    }
    if choices:
        options = [
            element("option", text or f"not set ({default})", value=text, selected=text == value)
            for text in ("", *choices)
        ]
        entry = element("select", *options, **about)
    else:
        hint = "429=0.1, 503=0.05" if _TYPES[name] is dict else default
        entry = element("input", value=value, placeholder=hint, autocomplete="off", **about)
    return element(
        "div",
        element("label", code(name), for_=name),
        entry,
        element("p", error, class_="error") if error else None,
        element("p", _with_code(help_text), class_="help", id=f"{name}-help"),
        class_="field",
    )


def _with_code(text: str) -> Html:
    return markup(*(code(part) if number % 2 else part for number, part in enumerate(_CODE.split(text))))


def _kind(annotation: Any) -> Any:
    """Return dict, bool or Literal[...] if a switch is one of these, else str: pydantic reads numbers from text."""
    if get_origin(annotation) is Literal or annotation is bool:
        return annotation
    return dict if get_origin(annotation) is dict else str


_TYPES = {name: _kind(Faults.model_fields[name].annotation) for name in NAMES}


def _choices(name: str) -> tuple[str, ...]:
    kind = _TYPES[name]
    return tuple(_WORDS) if kind is bool else get_args(kind)


def _value(name: str, text: str) -> Any:
    kind = _TYPES.get(name, str)
    if kind is bool:
        return _WORDS.get(text, text)
    return _shares(text) if kind is dict else text


def _shares(text: str) -> dict[str, float]:
    """Read `429=0.1, 503=0.05`."""
    shares = {}
    for each in text.split(","):
        status, equals, share = (part.strip() for part in each.partition("="))
        try:
            shares[status] = float(share)
        except ValueError:
            equals = ""
        if not equals:
            raise ValueError(f"give shares from 0 to 1 by status, such as 429=0.1, 503=0.05; not {each.strip()!r}")
    return shares


def _text(value: Any) -> str:
    if value is None:
        return ""
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, dict):
        return ", ".join(f"{status}={_text(share)}" for status, share in value.items())
    return str(int(value)) if isinstance(value, float) and value.is_integer() else str(value)


def _active(switches: Mapping[str, Any], now: float) -> dict[str, str]:
    """Return the switches that differ from their defaults; of an outage what is left of it."""
    found = {}
    for name, value in switches.items():
        if name == "outage_until":
            if value > now:
                found["outage"] = f"{value - now:.0f} s more"
        elif name not in ORDERS and value != Faults.model_fields[name].get_default(call_default_factory=True):
            found[name] = _text(value)
    return found
