"""Faults by one click: names for what can go wrong, over the switches that exist."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, NamedTuple

from emulator.api.faults import FaultState
from emulator.kinesis.switches import SwitchState
from emulator.page.fault_form import FOR_ALL_ONLY, GROUPS, ORDERS
from emulator.page.markup import Html, element


class Preset(NamedTuple):
    """A fault with a name.

    Attributes:
        title: What happens.
        explanation: What a client notices.
        switches: Those that are set, in the form of `Faults`.
    """

    title: str
    explanation: str
    switches: Mapping[str, Any]


PRESETS: Mapping[str, Preset] = {
    "slow": Preset("AEP is slow", "each answer takes 2 to 3 seconds", {"latency_ms": 2000.0, "jitter_ms": 1000.0}),
    "down": Preset("AEP is down for a minute", "every request is answered with 503", {"outage_s": 60.0}),
    "gone": Preset(
        "AEP is unreachable for a minute", "connections are dropped", {"outage_s": 60.0, "outage_mode": "reset"}
    ),
    "throttled": Preset(
        "AEP throttles", "half of the requests get 429, with Retry-After: 2", {"rate": {"429": 0.5}, "retry_after": 2}
    ),
    "flaky": Preset("AEP is flaky", "one request in five gets 500 or 503", {"rate": {"500": 0.1, "503": 0.1}}),
    "picky": Preset(
        "Single events are refused",
        "one event in ten of a batch gets 400 or 503",
        {"element_rate": {"400": 0.05, "503": 0.05}},
    ),
    "lost": Preset(
        "Replies get lost", "one request in ten is stored but not answered", {"reset_rate": 0.1, "reset_when": "after"}
    ),
    "tokens": Preset("Tokens expire", "new access tokens live for 30 seconds", {"token_ttl_s": 30.0}),
    "login": Preset("Logins fail", "IMS answers 503", {"ims_status": 503}),
}

OF_KINESIS: Mapping[str, Preset] = {
    "slow": Preset("Kinesis is slow", "each call takes 1 to 2 seconds", {"latency_ms": 1000.0, "jitter_ms": 1000.0}),
    "down": Preset("Kinesis is down for a minute", "every call is answered with 503", {"outage_s": 60.0}),
    "throttled": Preset("Streams are throttled", "shards take a tenth of their limits", {"throttle": {"*": 0.1}}),
    "flaky": Preset(
        "Records are refused", "one in ten gets InternalFailure", {"record_rate": {"InternalFailure": 0.1}}
    ),
    "lost": Preset("Replies get lost", "one call in ten is carried out but not answered", {"lost_reply_rate": 0.1}),
    "expired": Preset("Credentials expire", "no session token is valid any more", {"expired_keys": ["*"]}),
    "denied": Preset("A right is missing", "PutRecords is denied", {"denied_actions": ["kinesis:PutRecords"]}),
}

_ONLY_FOR_ALL = {name for title in FOR_ALL_ONLY for name in GROUPS[title]}


def is_on(preset: Preset, switches: Mapping[str, Any], now: float) -> bool:
    """Return whether a preset is in force.

    Args:
        preset: The preset.
        switches: Those that are set, as `FaultState.shown` has them.
        now: Seconds since the epoch.
    """
    if "outage_s" in preset.switches:
        mode = preset.switches.get("outage_mode", "503")
        return bool(switches.get("outage_until", 0) > now) and switches.get("outage_mode", "503") == mode
    return all(switches.get(name) == value for name, value in preset.switches.items())


def toggle(faults: FaultState, preset: Preset, inlet_id: str, now: float) -> None:
    """Switch a preset on, or off if it is on; other switches stay.

    Args:
        faults: The switches.
        preset: The preset.
        inlet_id: The inlet that it is for; "" for all.
        now: Seconds since the epoch.
    """
    switches = set_for(faults, inlet_id)
    timed = "outage_s" in preset.switches
    if not is_on(preset, switches, now):
        # How an outage looks must not be left over from another preset.
        faults.change({**({"outage_mode": "503"} if timed else {}), **preset.switches, "inlet": inlet_id})
        return
    if timed:
        faults.change({"outage_s": 0, "inlet": inlet_id})
    left_out = {*preset.switches, *ORDERS, "outage_until"}
    faults.replace({name: value for name, value in switches.items() if name not in left_out}, inlet_id)


def toggle_kinesis(state: SwitchState, preset: Preset, now: float) -> None:
    """Switch a preset of the local Kinesis on, or off if it is on; other switches stay."""
    switches = state.shown()
    if not is_on(preset, switches, now):
        state.change(preset.switches)
        return
    left_out = {*preset.switches, *ORDERS, *(["outage_until"] if "outage_s" in preset.switches else [])}
    state.clear()
    state.change({name: value for name, value in switches.items() if name not in left_out})


def set_for(faults: FaultState, inlet_id: str) -> Mapping[str, Any]:
    """Return the switches that are set for an inlet, or for all if the id is empty."""
    shown = faults.shown()
    switches: Mapping[str, Any] = shown.get("inlets", {}).get(inlet_id, {}) if inlet_id else shown
    return {name: value for name, value in switches.items() if name != "inlets"}


def presets_for(inlet_id: str) -> dict[str, Preset]:
    """Return the presets that can be switched on for an inlet, or for all if the id is empty."""
    return {name: each for name, each in PRESETS.items() if not (inlet_id and _ONLY_FOR_ALL & each.switches.keys())}


def buttons(
    presets: Mapping[str, Preset], switches: Mapping[str, Any], now: float, action: str, inlet_id: str = ""
) -> Html:
    """Return the buttons of presets, those that are on pressed.

    Args:
        presets: By their names.
        switches: Those that are set.
        now: Seconds since the epoch.
        action: Where the form is sent.
        inlet_id: The inlet that they are for; "" for all.
    """
    shown = [
        element(
            "button",
            element("strong", preset.title),
            element("span", preset.explanation),
            name="preset",
            value=name,
            aria_pressed="true" if is_on(preset, switches, now) else "false",
        )
        for name, preset in presets.items()
    ]
    return element(
        "form",
        element("input", type="hidden", name="inlet", value=inlet_id),
        element("div", *shown, class_="presets"),
        method="post",
        action=action,
    )
