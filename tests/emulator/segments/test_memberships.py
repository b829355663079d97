"""Who enters and leaves audiences, and what merging profiles does."""

from __future__ import annotations

from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from emulator.segments.memberships import Membership, Segment, evaluate, merge
from emulator.segments.parser import parse_rule

GOLD = Segment("gold", "Gold", parse_rule('tier = "gold"'), "policy", True, 1, 2)
BUYERS = Segment("buyers", "Buyers", parse_rule("exists E from xEvent where E.total > 5"), "policy", True, 1, 2)
GOLD_BUYERS = Segment(
    "both", "Both", parse_rule('tier = "gold" and (exists E from xEvent where E.total > 5)'), "policy", True, 1, 2
)
NO_BUYERS = Segment("none", "None", parse_rule("not (exists E from xEvent where E.total > 5)"), "policy", True, 1, 2)


def test_entered_stayed_left_and_entered_again() -> None:
    entered = evaluate([GOLD], {"tier": "gold"}, [], {}, 100)
    assert entered == {"gold": Membership("realized", 100)}
    assert evaluate([GOLD], {"tier": "gold"}, [], entered, 200) == {}
    left = evaluate([GOLD], {"tier": "silver"}, [], entered, 300)
    assert left == {"gold": Membership("exited", 300)}
    assert evaluate([GOLD], {"tier": "silver"}, [], left, 400) == {}
    assert evaluate([GOLD], {"tier": "gold"}, [], left, 500) == {"gold": Membership("realized", 500)}


def test_a_profile_that_never_belonged_has_no_membership() -> None:
    assert evaluate([GOLD, BUYERS], {"tier": "silver"}, [{"total": 1}], {}, 100) == {}


def test_an_event_is_remembered_until_the_rest_of_the_rule_holds() -> None:
    bought = evaluate([GOLD_BUYERS], {}, [{"total": 6}], {}, 100)
    assert bought == {"both": Membership(None, 0, True)}
    assert evaluate([GOLD_BUYERS], {"tier": "gold"}, [], bought, 200) == {"both": Membership("realized", 200, True)}


def test_an_event_ends_a_membership_that_wants_none() -> None:
    before = evaluate([NO_BUYERS], {}, [], {}, 100)
    assert before["none"].status == "realized"
    assert evaluate([NO_BUYERS], {}, [{"total": 6}], before, 200) == {"none": Membership("exited", 200, True)}


def test_a_merged_profile_belongs_to_what_either_belonged_to() -> None:
    one = {"a": Membership("realized", 5), "b": Membership("exited", 9, True), "c": Membership("exited", 3)}
    other = {"a": Membership("exited", 1), "b": Membership("realized", 7), "d": Membership(None, 0, True)}
    assert merge([one, other]) == {
        "a": Membership("realized", 5),
        "b": Membership("realized", 7, True),
        "c": Membership("exited", 3),
        "d": Membership(None, 0, True),
    }


MEMBERSHIPS = st.dictionaries(
    st.sampled_from("abc"),
    st.builds(Membership, st.sampled_from(["realized", "exited", None]), st.integers(0, 9), st.booleans()),
)


@given(st.lists(MEMBERSHIPS, max_size=4), st.randoms())
def test_the_order_of_merging_makes_no_difference(profiles: list[Any], random: Any) -> None:
    shuffled = random.sample(profiles, len(profiles))
    assert merge(shuffled) == merge(profiles)
    assert merge([merge(profiles[:2]), *profiles[2:]]) == merge(profiles)
