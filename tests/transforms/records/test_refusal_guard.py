from __future__ import annotations

import pickle
import uuid
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from aep.errors import ConfigurationError
from aep.mapping.conditions import compile_conditions
from aep.mapping.json_patch import compile_patch
from aep.xdm.rules import XdmRules
from testing.defaults import by_default
from tests.transforms.examples import chunk, route, small_schema
from transforms.map import ApplyMappingFn
from transforms.parse import ParseRecordsFn
from transforms.records.chunk import Chunk
from transforms.records.outcome import Refusal
from transforms.records.prepare import Tombstones
from transforms.records.refusal_guard import (
    NO_GUARD,
    WINDOW_RECORDS,
    Reason,
    RefusalCount,
    RefusalGuard,
    RefusalLimits,
    explain,
)
from transforms.records.route import Routes
from transforms.validate import ValidateXdmFn

REQUIRED = Reason("validate", "required", "/name")
SYNTAX = Reason("parse", "json", "")


def refused(count: RefusalCount, records: int, reason: Reason = REQUIRED) -> None:
    for _ in range(records):
        count.refused(reason)


class TestTheFirstRecords:
    def test_so_many_refused_and_none_passed_are_enough(self) -> None:
        count = RefusalCount(RefusalLimits(max_first=5, max_share=None))
        refused(count, 1, SYNTAX)
        refused(count, 3)
        assert count.verdict() is None
        refused(count, 1)
        assert count.verdict() == ("max_first", 5, 5, REQUIRED, 4, 5)

    def test_one_that_passed_is_enough_to_go_on_for_ever(self) -> None:
        count = RefusalCount(RefusalLimits(max_first=5, max_share=None))
        refused(count, 4)
        count.passed(0)
        count.passed(1)
        refused(count, 10_000)
        assert count.verdict() is None

    def test_the_commonest_reason_is_that_of_the_last_records_with_the_first_place(self) -> None:
        count = RefusalCount(RefusalLimits(max_first=3_000, max_share=None))
        refused(count, 2_000, SYNTAX)
        refused(count, 999, Reason("validate", "required", "/a"))
        refused(count, 1, Reason("validate", "required", "/b"))
        verdict = count.verdict()
        assert verdict == ("max_first", 3_000, 3_000, Reason("validate", "required", "/a"), 1_000, WINDOW_RECORDS)

    def test_without_limits_nothing_is_too_much(self) -> None:
        count = RefusalCount(RefusalLimits(None, None))
        refused(count, 5_000)
        assert count.verdict() is None


class TestTheShare:
    def test_a_topic_that_changes_is_found_within_the_window(self) -> None:
        count = RefusalCount(RefusalLimits(max_first=None, max_share=0.5))
        count.passed(1_000_000)
        refused(count, 500)
        assert count.verdict() is None
        refused(count, 1)
        found = count.verdict()
        assert found is not None
        assert (found.option, found.commonest, found.times, found.of) == ("max_share", REQUIRED, 501, 501)

    def test_nothing_is_decided_before_there_are_enough_records(self) -> None:
        count = RefusalCount(RefusalLimits(max_first=None, max_share=0.01))
        refused(count, WINDOW_RECORDS - 1)
        assert count.verdict() is None
        refused(count, 1)
        assert count.verdict() == ("max_share", WINDOW_RECORDS, WINDOW_RECORDS, REQUIRED, WINDOW_RECORDS, 1_000)

    @given(st.lists(st.tuples(st.booleans(), st.integers(1, 400)), max_size=40), st.floats(0.01, 0.99, allow_nan=False))
    def test_the_share_is_that_of_the_last_records(self, runs: list[tuple[bool, int]], share: float) -> None:
        count = RefusalCount(RefusalLimits(max_first=None, max_share=share))
        all_records: list[bool] = []
        for is_refused, records in runs:
            all_records += [is_refused] * records
            if is_refused:
                refused(count, records)
            else:
                count.passed(records)
            last = all_records[-WINDOW_RECORDS:]
            assert (count.verdict() is not None) == (len(last) == WINDOW_RECORDS and sum(last) > share * len(last))


def test_the_words_say_what_where_and_how_to_go_on() -> None:
    count = RefusalCount(RefusalLimits(max_first=2, max_share=None))
    refused(count, 2)
    verdict = count.verdict()
    assert verdict is not None
    words = explain("route loyalty", verdict)
    assert words.startswith("route loyalty: the first 2 records were all refused and none passed, most often for requ")
    for part in ("at /name (stage validate, 2 of the last 2 refusals)", "beam-aep check", "dead_letter_max_first=null"):
        assert part in words
    assert "dead_letter_max_share" in explain("route r", verdict._replace(option="max_share"))


class TestInTheSteps:
    """The steps as a runner fuses them: a chunk goes through all of them before the next one is parsed."""

    SCHEMA = small_schema(name={"type": "string"})

    def steps(self, routes: Routes, guard: RefusalGuard, tombstones: Tombstones = "dead_letter") -> None:
        guard = pickle.loads(pickle.dumps(guard))
        self.parse = ParseRecordsFn(routes, tombstones, guard)
        self.map, self.validate = ApplyMappingFn(routes, guard), ValidateXdmFn(routes, by_default(XdmRules), guard)

    def go_through(self, *values: bytes | None) -> None:
        for parsed in self.parse.process(chunk(*values, topic="t")):
            for mapped in self.map.process(parsed) if isinstance(parsed, Chunk) else ():
                if isinstance(mapped, Chunk):
                    list(self.validate.process(mapped))

    @pytest.mark.parametrize(("value", "code"), [(b"{", "json"), (b'{"name":1}', "type"), (b'{"kind":"b"}', "patch")])
    def test_each_stage_counts(self, value: bytes, code: str) -> None:
        patch = compile_patch([{"op": "test", "path": "/kind", "value": "a"}], "rfc6902") if code == "patch" else None
        routes = Routes([replace(route("r", "t", schema=self.SCHEMA), mapping=patch)])
        self.steps(routes, guard(3))
        self.go_through(value, value)
        self.parse.finish_bundle()
        self.go_through(value)
        with pytest.raises(ConfigurationError, match=rf"^route r: the first 3 records .* most often for {code}"):
            self.parse.finish_bundle()

    def test_records_of_one_chunk_count_together(self) -> None:
        self.steps(Routes([route("r", "t", schema=self.SCHEMA)]), guard(3))
        self.go_through(b"{", b"{", b"{", b'{"name":"x"}')
        self.parse.finish_bundle()

    def test_a_route_that_passes_nothing_stops_beside_one_that_passes_all(self) -> None:
        one = replace(route("one", "t", schema=self.SCHEMA), when=compile_conditions({"/name": "x"}))
        self.steps(Routes([one, route("two", "t", schema=self.SCHEMA)]), guard(3))
        self.go_through(*[b'{"name":"x"}', b'{"name":1}'] * 3)
        with pytest.raises(ConfigurationError, match=r"^route two: "):
            self.go_through(b'{"name":"x"}')

    def test_what_finds_no_route_counts_for_its_topic(self) -> None:
        one = replace(route("one", "t", schema=self.SCHEMA), when=compile_conditions({"/name": "x"}))
        self.steps(Routes([one]), guard(3))
        self.go_through(*[b'{"name":"y"}'] * 3)
        with pytest.raises(ConfigurationError, match=r"^topic t: .* for no_route "):
            self.parse.finish_bundle()
        self.go_through(*[b'{"name":"y"}'] * 2, b'{"name":"x"}', *[b"{"] * 3)
        self.parse.finish_bundle()

    def test_tombstones_that_are_dead_lettered_on_purpose_do_not_count(self) -> None:
        self.steps(Routes([route("r", "t", schema=self.SCHEMA)]), guard(3))
        self.go_through(*[None] * 5)
        self.parse.finish_bundle()

    def test_after_it_has_stopped_a_bundle_that_is_tried_again_counts_from_nothing(self) -> None:
        self.steps(Routes([route("r", "t", schema=self.SCHEMA)]), guard(3))
        self.go_through(*[b"{"] * 3)
        with pytest.raises(ConfigurationError):
            self.parse.finish_bundle()
        self.parse.finish_bundle()
        self.go_through(*[b"{"] * 2)
        self.parse.finish_bundle()

    def test_another_run_in_the_process_counts_from_nothing(self) -> None:
        routes = Routes([route("r", "t", schema=self.SCHEMA)])
        for _ in range(2):
            self.steps(routes, guard(3))
            self.go_through(*[b"{"] * 2)
            self.parse.finish_bundle()

    def test_without_a_guard_the_steps_never_stop(self) -> None:
        self.steps(Routes([route("r", "t", schema=self.SCHEMA)]), NO_GUARD)
        self.go_through(*[b"{"] * 1_000)
        self.parse.finish_bundle()


def guard(max_first: int) -> RefusalGuard:
    return RefusalGuard(RefusalLimits(max_first, max_share=None), uuid.uuid4().hex)


def test_a_refusal_without_a_route_is_told_apart_from_a_route_of_the_topic_s_name() -> None:
    one = guard(1)
    one.passed("t", 1)
    one.refused(Refusal("parse", "", "json", "no"), "t")
    with pytest.raises(ConfigurationError, match=r"^topic t: "):
        one.check()
