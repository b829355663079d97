"""Random reshards, readers that are restored at any point, shards that expire: what is read, and in which order."""

from __future__ import annotations

from collections import defaultdict

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, rule

from kinesis.lineage import after_end, first_states, owner_of, readable, update
from kinesis.positions import BEGINNING, END, Change, ShardState, after, at_time
from tests.kinesis.model import KEYS, Reader, Stream


def of(*parents: str, position: object = BEGINNING, root: str = "") -> ShardState:
    return ShardState(position, parents, root or (parents[0] if parents else ""))  # type: ignore[arg-type]


def everything(_: ShardState) -> bool:
    return True


class Reshards(RuleBasedStateMachine):
    """Readers of a stream that is resharded; each may be restored from a state it had before."""

    @initialize(shards=st.integers(1, 3), readers=st.integers(1, 3))
    def start(self, shards: int, readers: int) -> None:
        self.stream = Stream(shards)
        states = first_states(self.stream.listed(), BEGINNING, 0)
        self.readers = [Reader(self.stream, number, readers, dict(states)) for number in range(readers)]
        self.saved = [(dict(reader.states), 0) for reader in self.readers]
        self.expired: list[tuple[int, int]] = []

    @rule(keys=st.lists(st.integers(0, KEYS - 1), min_size=1, max_size=8))
    def write(self, keys: list[int]) -> None:
        for key in keys:
            self.stream.write(key)

    @rule(at=st.integers(0, 1_000))
    def split(self, at: int) -> None:
        shards = self.stream.open()
        self.stream.split(shards[at % len(shards)])

    @rule(at=st.integers(0, 1_000))
    def merge(self, at: int) -> None:
        shards = self.stream.open()
        self.stream.merge(shards[at % len(shards)])

    @rule(which=st.integers(0, 2), at=st.integers(0, 1_000), most=st.integers(1, 4))
    def read(self, which: int, at: int, most: int) -> None:
        reader = self.readers[which % len(self.readers)]
        if shards := reader.readable():
            reader.read_some(shards[at % len(shards)], most)

    @rule(which=st.integers(0, 2))
    def list_shards(self, which: int) -> None:
        self.readers[which % len(self.readers)].list_shards()

    @rule(which=st.integers(0, 2))
    def save(self, which: int) -> None:
        which %= len(self.readers)
        reader = self.readers[which]
        self.saved[which] = dict(reader.states), len(reader.read)

    @rule(which=st.integers(0, 2))
    def crash(self, which: int) -> None:
        which %= len(self.readers)
        states, read = self.saved[which]
        self.readers[which].states = dict(states)
        del self.readers[which].read[read:]

    @rule()
    def expire_what_all_have_read(self) -> None:
        """Retention passes for closed shards whose end is in everybody's checkpoint."""
        for name, shard in list(self.stream.shards.items()):
            known = [states[name] for states, _ in self.saved if name in states]
            owner = [
                states[name]
                for number, (states, _) in enumerate(self.saved)
                if name in states and owner_of(states[name], len(self.readers)) == number
            ]
            if (
                shard.closed
                and owner
                and all(state.position.is_end for state in owner)
                and len(known) == len(self.readers)
            ):
                del self.stream.shards[name]
                self.expired += shard.records

    @invariant()
    def nothing_is_read_twice(self) -> None:
        read = [record for reader in self.readers for record in reader.read]
        assert len(read) == len(set(read))

    @invariant()
    def a_reader_that_is_alone_keeps_the_order_of_each_key(self) -> None:
        if len(self.readers) == 1:
            by_key = defaultdict(list)
            for key, number in self.readers[0].read:
                by_key[key].append(number)
            assert all(numbers == sorted(numbers) for numbers in by_key.values())

    def teardown(self) -> None:
        if hasattr(self, "stream"):
            for reader in self.readers:
                reader.run_to_end()
            self.nothing_is_read_twice()
            self.a_reader_that_is_alone_keeps_the_order_of_each_key()
            read = {number for reader in self.readers for _, number in reader.read}
            assert read == set(range(self.stream.written))
            assert not any(reader.lost for reader in self.readers)


TestReshards = Reshards.TestCase
TestReshards.settings = settings(max_examples=80, stateful_step_count=40, deadline=None)


@given(st.lists(st.tuples(st.sampled_from("wsm"), st.integers(0, KEYS - 1)), max_size=60), st.integers(1, 4))
def test_each_shard_has_one_reader_whatever_was_split_and_merged(steps: list[tuple[str, int]], readers: int) -> None:
    stream = Stream(3)
    known = [first_states(stream.listed(), BEGINNING, 0) for _ in range(readers)]
    for number, (step, at) in enumerate(steps):
        shards = stream.open()
        {"w": lambda _: None, "s": stream.split, "m": stream.merge}[step](shards[at % len(shards)])
        # Each hears of it at another time.
        known[number % readers] |= update(known[number % readers], stream.listed(), everything).change.shards
    for states in known:
        states |= update(states, stream.listed(), everything).change.shards
    owners = [{shard: owner_of(state, readers) for shard, state in states.items()} for states in known]
    assert all(each == owners[0] for each in owners)


def test_a_child_waits_for_both_parents_of_a_merge() -> None:
    states = {"s-0": of(root="s-0"), "s-1": of(root="s-1"), "s-2": of("s-0", "s-1", root="s-0")}
    assert readable(states, everything) == ["s-0", "s-1"]
    states["s-0"] = states["s-0"]._replace(position=END)
    assert readable(states, everything) == ["s-1"]
    states["s-1"] = states["s-1"]._replace(position=END)
    assert readable(states, everything) == ["s-2"]


def test_a_merge_over_two_readers_is_read_by_the_one_of_the_older_ancestor_without_waiting_for_the_other() -> None:
    states = first_states({"s-0": (), "s-1": (), "s-2": ("s-1",)}, BEGINNING, 0)
    states |= update(states, {**dict.fromkeys(states, ()), "s-3": ("s-2", "s-0")}, everything).change.shards
    assert states["s-3"].root == "s-0"

    def first(state: ShardState) -> bool:
        return owner_of(state, 2) == 0

    assert readable(states, first) == ["s-0"]
    states["s-0"] = states["s-0"]._replace(position=END)
    assert readable(states, first) == ["s-3"]
    assert readable(states, lambda state: not first(state)) == ["s-1"]


def test_grandchildren_are_read_when_the_generation_between_has_expired_while_the_reader_was_down() -> None:
    states = {"s-0": of(root="s-0", position=after("7"))}
    found = update(states, {"s-3": ("s-1",), "s-4": ("s-1", "s-2")}, everything)
    assert found.lost == ("s-0", "s-1", "s-2")
    assert found.change.gone == {"s-0"}
    assert readable(found.change.shards, everything) == ["s-3", "s-4"]
    assert {state.position for state in found.change.shards.values()} == {BEGINNING}


def test_what_descends_from_lost_shards_can_be_read_from_now_on_and_other_children_still_from_their_beginning() -> None:
    states = {"s-0": of(root="s-0", position=after("7")), "s-1": of(root="s-1", position=END), "s-2": of("s-0")}
    listed = {"s-1": (), "s-2": ("s-0",), "s-3": ("s-2",), "s-4": ("s-1",), "s-9": ("s-8",)}
    found = update(states, listed, everything, (at_time(99), 99))
    positions = {shard: state.position for shard, state in found.change.shards.items()}
    assert positions == {"s-2": at_time(99), "s-3": at_time(99), "s-4": BEGINNING, "s-9": at_time(99)}
    assert found.lost == ("s-0", "s-8")


def test_a_shard_that_was_read_to_its_end_is_forgotten_only_when_it_has_expired() -> None:
    states = {"s-0": of(root="s-0", position=END), "s-1": of("s-0")}
    assert update(states, {"s-0": (), "s-1": ("s-0",)}, everything).change == Change({})
    found = update(states, {"s-1": ("s-0",)}, everything)
    assert found == (Change({}, frozenset({"s-0"})), ())


def test_a_child_with_a_parent_that_nobody_has_listed_yet_waits_for_the_next_list() -> None:
    states = {"s-0": of(root="s-0")}
    change = after_end(states, "s-0", {"s-1": ("s-0",), "s-3": ("s-0", "s-2")}, 5)
    assert change.shards.keys() == {"s-0", "s-1"}
    assert change.shards["s-0"] == ShardState(END, (), "s-0", 5)


def test_all_shards_of_a_stream_that_is_read_for_the_first_time_start_at_the_same_position() -> None:
    states = first_states({"s-1": ("s-0",), "s-0": ("s-gone",)}, at_time(7), 7)
    assert {state.position for state in states.values()} == {at_time(7)}
    assert {shard: state.root for shard, state in states.items()} == {"s-0": "s-0", "s-1": "s-0"}


@pytest.mark.parametrize("readers", [1, 2, 3])
def test_the_shards_of_a_new_stream_are_spread_evenly(readers: int) -> None:
    states = first_states({f"shardId-{number:012}": () for number in range(6)}, BEGINNING, 0)
    owners = [owner_of(state, readers) for state in states.values()]
    assert {owners.count(number) for number in range(readers)} == {6 // readers}
