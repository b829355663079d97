"""The parts of the page that need no server: markup, the form for faults, types of fields, rates."""

from __future__ import annotations

from typing import Any

import pytest

from emulator.api.faults import Faults, FaultState
from emulator.api.flows import Flows
from emulator.api.mapping_sets import MappingSets
from emulator.export.queue import ExportQueue
from emulator.kinesis.service import Kinesis
from emulator.kinesis.store import KinesisStore
from emulator.kinesis.switches import SwitchState
from emulator.page import charts, fault_form, schema_tree
from emulator.page.facts import RATE_S, Facts, Services
from emulator.page.markup import Html, address, element, json_block, markup, table
from emulator.state.batches import Batches
from emulator.state.datasets import Datasets
from emulator.state.inlets import Inlets
from emulator.state.memberships import MembershipStore
from emulator.state.profile_store import ProfileStore
from emulator.state.recent import SECONDS, RecentTraffic, Second
from emulator.state.registry import Registry
from emulator.state.segments import Segments
from emulator.state.store import Store


def test_only_markup_stays_as_it_is() -> None:
    assert element("p", "<b>", Html("<i></i>"), 5, None) == "<p>&lt;b&gt;<i></i>5</p>"
    assert element("a", "x", href='"><script>', title=None, hidden=True) == (
        '<a href="&quot;&gt;&lt;script&gt;" hidden>x</a>'
    )
    # added to text, markup is text again
    assert markup(Html("<i></i>") + "<b>") == "&lt;i&gt;&lt;/i&gt;&lt;b&gt;"
    assert "<td" not in table(["<a>"], [], "<none>")


def test_address() -> None:
    assert address("datasets", "a/b?c", org="x&y", other=None) == "/datasets/a%2Fb%3Fc?org=x%26y"


def test_json_is_cut() -> None:
    assert json_block(b'{"a":1}').startswith('<div class="block"><pre>{\n  &quot;a&quot;: 1\n}</pre><button ')
    assert json_block({"a": "x" * 5000}).endswith(f"{5000 + 13 - 4000:,} more characters</pre>")


def test_every_switch_is_in_the_form_and_explained() -> None:
    assert {*fault_form.NAMES, "outage_until"} == set(Faults.model_fields)
    assert set(fault_form.help_texts()) == set(Faults.model_fields)
    for text in fault_form.help_texts().values():
        assert text.endswith(".")


def test_typed_switches_are_read_back() -> None:
    switches: dict[str, Any] = {
        "rate": {"429": 0.125, "503": 0.5},
        "latency_ms": 1_234_567.0,
        "reset_rate": 0.001,
        "sync_supported": False,
        "dialect": "statusCode",
        "max_body_bytes": 1_000_000,
    }
    assert fault_form.read(fault_form.typed(switches)) == switches


def test_what_is_on_now() -> None:
    shown = {
        "latency_ms": 0.0,
        "seed": 5,
        "outage_s": 60.0,
        "outage_until": 1000.0,
        "inlets": {"abcdefghij": {"sync_supported": False}, "gone": {"rate": {}}},
    }
    inlet = {"inlet demo (abcdefgh)": {"sync_supported": "no"}}
    assert fault_form.on_now(shown, {"abcdefghij": "demo"}, 990.4) == {"all inlets": {"outage": "10 s more"}, **inlet}
    assert fault_form.on_now(shown, {"abcdefghij": "demo"}, 1000.0) == inlet


def test_refused_switches_leave_those_that_are_on() -> None:
    state = FaultState(lambda: 0)
    state.change({"latency_ms": 5})
    with pytest.raises(ValueError, match="latency_ms"):
        state.replace({"latency_ms": -1})
    assert state.shown() == {"latency_ms": 5}
    state.replace({}, "some inlet")
    assert state.effective("some inlet").latency_ms == 5


def test_only_an_outage_that_runs_goes_on() -> None:
    now = [0.0]
    state = FaultState(lambda: now[0])
    state.change({"outage_s": 60, "inlet": "one"})
    now[0] = 59
    state.replace({"latency_ms": 1}, "one")
    assert state.effective("one").outage_until == 60
    now[0] = 61
    state.replace({}, "one")
    # what is left of one that has ended would keep the inlet out of the next one for all
    state.replace({"outage_s": 10})
    assert state.effective("one").outage_until == 71


@pytest.mark.parametrize(
    ("field", "type_of"),
    [
        ({"type": "string"}, "string"),
        ({"type": "string", "format": "date-time"}, "date-time"),
        ({"type": "integer", "meta:xdmType": "int"}, "int"),
        ({"type": ["string", "null"]}, "string or null"),
        ({"type": "array", "items": {"type": "object"}}, "array of object"),
        ({"type": "array"}, "array of any"),
        ({"type": "object", "additionalProperties": {"type": "integer"}}, "map of integer"),
        ({"type": "object", "additionalProperties": {"type": "string"}, "properties": {"a": {}}}, "object"),
        ({}, "any"),
        (True, "any"),
    ],
)
def test_types_of_fields(field: Any, type_of: str) -> None:
    assert schema_tree.type_of(field) == type_of


def test_fields_as_a_tree() -> None:
    document = {
        "required": ["b"],
        "properties": {
            "a": {"type": "object", "properties": {"x": {"type": "string"}}},
            "b": {"type": "array", "items": {"type": "object", "properties": {"y": {}}, "required": ["y"]}},
            "c": True,
        },
    }
    shown = schema_tree.fields(document, {("a", "x"): "identity: Email"})
    assert schema_tree.count(document) == 5
    assert shown.index("<code>b</code>") < shown.index("<code>a</code>")  # what is required comes first
    assert shown.count("<details open>") == 2  # one has an identity in it, the other a required field
    assert '<span class="badge good">identity: Email</span>' in shown


def test_very_deep_schemas_are_cut() -> None:
    document: dict[str, Any] = {"properties": {"end": {"type": "string"}}}
    for _ in range(200):
        document = {"properties": {"deeper": document}}
    assert "nested deeper than shown here" in schema_tree.fields(document, {})
    assert schema_tree.count(document) <= schema_tree.MAX_DEPTH + 1


def make_facts(store: Store, timer: list[float]) -> Facts:
    inlets, registry = Inlets(store), Registry(store)
    datasets = Datasets(store, registry)
    return Facts(
        Services(
            store=store,
            inlets=inlets,
            registry=registry,
            datasets=datasets,
            flows=Flows(store, inlets, datasets, MappingSets(store)),
            batches=Batches(store),
            profiles=ProfileStore(store),
            segments=Segments(store),
            memberships=MembershipStore(store),
            exports=ExportQueue(store, lambda: 0),
            kinesis=Kinesis(KinesisStore(store, lambda: 0), SwitchState(lambda: 0, {}), {}, lambda: 0),
            faults=FaultState(lambda: 0),
            recent=RecentTraffic(lambda: 0),
            clock=lambda: 0,
            timer=lambda: timer[0],
            count_only=False,
        )
    )


def test_the_last_seconds_of_the_collection() -> None:
    now = [1000.0]
    recent = RecentTraffic(lambda: now[0])
    assert recent.last() == [Second()] * SECONDS

    def request(began: float, ended: float, messages: int) -> None:
        now[0] = began
        begun = recent.begin()
        now[0] = ended
        recent.end(begun, messages)

    request(1000.0, 1000.5, 3)
    request(1000.5, 1000.75, 4)
    assert recent.last() == [Second()] * SECONDS  # the second is not over
    request(1002.0, 1003.0, 1)
    now[0] = 1004.0
    assert recent.last()[-4:] == [Second(2, 7, 0.75, 0.5), Second(), Second(), Second(1, 1, 1.0, 1.0)]
    now[0] = 1000.0 + SECONDS
    assert recent.last()[0] == Second(2, 7, 0.75, 0.5)
    now[0] += 1
    assert recent.last()[0] == Second()


def test_a_sparkline_reaches_the_top_with_its_largest_value() -> None:
    drawn = charts.sparkline([0, 5, 10], "<label>")
    assert 'points="0.0,48.0 150.0,25.0 300.0,2.0"' in drawn
    assert 'aria-label="&lt;label&gt;"' in drawn
    assert 'points="0.0,48.0 300.0,48.0"' in charts.sparkline([0, 0], "")


def test_bars_say_what_they_stand_for() -> None:
    drawn = charts.bars([1, 2], ["<a>", "b"], "two")
    assert drawn.count("<rect") == 2
    assert "<title>&lt;a&gt;</title>" in drawn


def test_requests_a_second() -> None:
    store, timer = Store(None), [100.0]
    facts = make_facts(store, timer)

    def look(at: float, requests: int) -> float | None:
        timer[0] = at
        store.counts("inlet").requests = requests
        return facts.traffic().rates["inlet"]

    assert look(100, 50) is None
    assert look(100.1, 60) is None
    assert look(102, 70) == 10
    assert look(104, 130) == 20
    assert look(104 + RATE_S, 130) == 0  # the oldest look that counts is the last one but this
    assert look(104 + 5 * RATE_S, 500) is None
    look(105 + 5 * RATE_S, 500)
    store.reset()
    assert look(106 + 5 * RATE_S, 3) is None
    assert look(108 + 5 * RATE_S, 7) == 2
    store.close()
