"""Who fits a rule."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from emulator.segments.evaluation import event_fits, fits
from emulator.segments.parser import parse_rule
from emulator.segments.rules import Not, Rule, event_conditions
from tests.emulator.segments.rule_strategies import NAMES, RULES, plain_rules

PROFILE: dict[str, Any] = {
    "person": {"name": "Jo", "birthMonth": 3},
    "tier": "gold",
    "points": 10,
    "ratio": 0.5,
    "member": True,
    "tags": ["a"],
    "home": {"city": "Rome"},
    "work": {"city": "Rome"},
}


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ('tier = "gold"', True),
        ('"gold" = tier', True),
        ('tier = "Gold"', False),
        ('tier != "silver"', True),
        ("points >= 10 and points < 10.5", True),
        ("points = 10.0", True),
        ('points > "9"', False),
        ('tier > "Zinc"', True),
        ("member = true", True),
        ("member = 1", False),
        ("member > false", False),
        ("points = true", False),
        ("home.city = work.city", True),
        ("home = work", False),
        ("person.birthMonth in [1, 2, 3]", True),
        ('tier in ["silver"]', False),
        ('tier.startsWith("go")', True),
        ('tier.startsWith("GO")', False),
        ('tier.startsWith("GO", false)', True),
        ('tier.contains("ol")', True),
        ('tier.equals("gold")', True),
        ('points.contains("1")', False),
        ('tags.contains("a")', False),
        ("tags.isNotNull()", True),
        ("home.isNull()", False),
        # missing fields
        ("other.isNull()", True),
        ("other = 1", False),
        ("other != 1", False),
        ("not other = 1", True),
        ("other in [1]", False),
        ('other.startsWith("")', False),
        ("tier.other.isNull()", True),
        ("tags.a.isNull()", True),
        ("home.city = other.city", False),
    ],
)
def test_profile(text: str, expected: bool) -> None:
    assert fits(parse_rule(text), PROFILE, had_event=False) is expected


def test_an_event_counts_for_ever() -> None:
    rule = parse_rule('tier = "gold" and (exists E from xEvent where E.total > 5)')
    assert fits(rule, PROFILE, had_event=True)
    assert not fits(rule, PROFILE, had_event=False)
    assert not fits(rule, {}, had_event=True)


def test_an_event_meets_a_condition() -> None:
    (condition,) = event_conditions(parse_rule('exists E from xEvent where E.total > 5 and tier = "gold"'))
    assert event_fits(condition, PROFILE, {"total": 6})
    assert not event_fits(condition, {}, {"total": 6})
    assert not event_fits(condition, PROFILE, {"total": 5})
    (any_event,) = event_conditions(parse_rule("not (exists E from xEvent)"))
    assert event_fits(any_event, {}, {})


VALUES: st.SearchStrategy[Any] = st.recursive(
    st.one_of(st.none(), st.booleans(), st.integers(), st.floats(allow_nan=False), st.text(max_size=4)),
    lambda inner: st.one_of(st.lists(inner, max_size=2), st.dictionaries(NAMES, inner, max_size=3)),
    max_leaves=6,
)


@given(RULES, st.dictionaries(NAMES, VALUES, max_size=4), st.booleans())
def test_any_rule_is_true_or_false_for_any_profile(rule: Rule, profile: dict[str, Any], had_event: bool) -> None:
    found = fits(rule, profile, had_event=had_event)
    assert fits(Not(rule), profile, had_event=had_event) is not found


@given(plain_rules(), st.dictionaries(NAMES, VALUES, max_size=4))
def test_a_rule_without_events_is_not_changed_by_them(rule: Rule, profile: dict[str, Any]) -> None:
    assert fits(rule, profile, had_event=True) is fits(rule, profile, had_event=False)
