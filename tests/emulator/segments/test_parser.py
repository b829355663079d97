"""From PQL to rules: round trip, what Adobe's own examples become, and where a refusal points to."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from emulator.segments.parser import MAX_DEPTH, parse_rule
from emulator.segments.rules import (
    And,
    Attribute,
    Comparison,
    Constant,
    HasEvent,
    In,
    Not,
    Or,
    Presence,
    Rule,
    StringTest,
    event_conditions,
    to_pql,
)
from emulator.segments.tokens import RuleError, tokenize
from tests.emulator.segments.rule_strategies import RULES

HOME = Comparison(Attribute(("homeAddress", "countryISO")), "=", Constant("CA"))


@given(RULES)
def test_a_rule_is_parsed_back_from_its_text(rule: Rule) -> None:
    assert parse_rule(to_pql(rule)) == rule


@given(RULES, st.data())
def test_a_refusal_points_at_the_character(rule: Rule, data: st.DataObject) -> None:
    text = to_pql(rule)
    at = data.draw(st.sampled_from([token.position - 1 for token in tokenize(text)]))
    with pytest.raises(RuleError, match=r"unexpected '\?'") as caught:
        parse_rule(f"{text[:at]}?{text[at:]}")
    assert caught.value.position == at + 1


@given(RULES, st.sampled_from([") and a = 1", "a = 1", "[1]", "= 1"]))
def test_a_refusal_points_at_the_word(rule: Rule, more: str) -> None:
    text = to_pql(rule)
    with pytest.raises(RuleError) as caught:
        parse_rule(f"{text} {more}")
    assert caught.value.position == len(text) + 2


@given(st.text(alphabet='ab.=<!"()[],: \\E0-', max_size=30))
def test_any_text_is_a_rule_or_refused_within_it(text: str) -> None:
    position, rule = 1, None
    try:
        rule = parse_rule(text)
    except RuleError as error:
        position = error.position
    assert 1 <= position <= len(text) + 1
    assert rule is None or parse_rule(to_pql(rule)) == rule


@pytest.mark.parametrize(
    ("text", "rule"),
    [
        ('workAddress.country = "US"', Comparison(Attribute(("workAddress", "country")), "=", Constant("US"))),
        (
            "homeAddress.stateProvince = workAddress.stateProvince",
            Comparison(Attribute(("homeAddress", "stateProvince")), "=", Attribute(("workAddress", "stateProvince"))),
        ),
        ("person.birthMonth >= 3", Comparison(Attribute(("person", "birthMonth")), ">=", Constant(3))),
        ("person.birthMonth in [3, 6, 9]", In(Attribute(("person", "birthMonth")), (*map(Constant, (3, 6, 9)),))),
        ('not (homeAddress.countryISO = "CA")', Not(HOME)),
        ('!(homeAddress.countryISO = "CA")', Not(HOME)),
        ('person.name.startsWith("Joe")', StringTest(Attribute(("person", "name")), "startsWith", "Joe")),
        ('person.name.contains("jo", false)', StringTest(Attribute(("person", "name")), "contains", "jo", False)),
        ('person.name.equals("John")', StringTest(Attribute(("person", "name")), "equals", "John")),
        ("person.homeAddress.isNotNull()", Presence(Attribute(("person", "homeAddress")), True)),
        ("person.homeAddress.isNull()", Presence(Attribute(("person", "homeAddress")), False)),
        (
            "select var1 from xEvent where var1._experience.isHomePage = false",
            HasEvent("var1", Comparison(Attribute(("_experience", "isHomePage"), "var1"), "=", Constant(False))),
        ),
        (
            "exists E from xEvent : E.commerce.price > -50.5",
            HasEvent("E", Comparison(Attribute(("commerce", "price"), "E"), ">", Constant(-50.5))),
        ),
        ("exists E from xEvent", HasEvent("E", None)),
    ],
)
def test_examples_of_adobe(text: str, rule: Rule) -> None:
    assert parse_rule(text) == rule


def test_and_binds_more_than_or_and_not_more_than_and() -> None:
    a, b, c = (Comparison(Attribute((name,)), "=", Constant(1)) for name in "abc")
    assert parse_rule("a = 1 or b = 1 and not c = 1") == Or((a, And((b, Not(c)))))
    assert parse_rule("(a = 1 or b = 1) and c = 1") == And((Or((a, b)), c))


def test_inside_a_condition_on_events_other_names_are_the_profiles() -> None:
    rule = parse_rule('tier = "gold" and (exists E from xEvent where E.total > 5 and tier = "gold")')
    (event,) = event_conditions(rule)
    gold = Comparison(Attribute(("tier",)), "=", Constant("gold"))
    assert event.condition == And((Comparison(Attribute(("total",), "E"), ">", Constant(5)), gold))


@pytest.mark.parametrize(
    ("text", "position", "problem"),
    [
        ("", 1, "expected a condition, got the end"),
        ("a", 2, "expected a comparison, such as =, got the end"),
        ("a = ", 5, "expected a value or an attribute, got the end"),
        ("a = 1 b = 2", 7, "expected 'and', 'or' or the end, got 'b'"),
        ("a = 1 and", 10, "expected a condition, got the end"),
        ("(a = 1", 7, "expected ')', got the end"),
        ("a == 1", 4, "expected a value or an attribute, got '='"),
        ('a = "Rome', 5, "the string has no closing quote"),
        (r'a = "C:\Rome"', 8, r"unknown escape in the string; write \\ for a backslash"),
        ("a = 'Rome'", 5, 'unexpected "\'"'),
        ("a + 1 > 2", 3, "unexpected '+'"),
        ("a = 1e999", 5, "the number is too large"),
        ("1 = 1", 1, "the comparison names no attribute"),
        ("a in []", 7, "expected a string, a number, true or false, got ']'"),
        ("1 in [1]", 1, "expected an attribute before 'in'"),
        ("a notIn [1]", 3, "expected a comparison, such as =, got 'notIn'"),
        (
            'a.b.endsWith("x")',
            5,
            "the function endsWith is not supported, only equals, contains, startsWith, isNotNull, isNull",
        ),
        ('startsWith("x")', 1, "expected an attribute before startsWith"),
        ("a.contains(b)", 12, "expected a string, got 'b'"),
        ('a.equals("x", false)', 13, "expected ')', got ','"),
        ('a.contains("x", 1)', 17, "expected true or false, got '1'"),
        ("a = b.count()", 5, "functions cannot be compared with"),
        ("a.b. = 1", 6, "expected the name of a field, got '='"),
        ("exists E from orders where E.a = 1", 15, "only events can be searched: expected 'xEvent'"),
        ("exists E from xEvent where E = 1", 28, "expected a field of E, such as E.eventType"),
        (
            "(exists A from xEvent) and (exists B from xEvent)",
            29,
            "rules on more than one event are not supported",
        ),
        ("exists A from xEvent where (exists B from xEvent)", 29, "rules on more than one event are not supported"),
        ("E.timestamp occurs before today", 13, "expected a comparison, such as =, got 'occurs'"),
        ("$1.a = 1", 1, "unexpected '$'"),
        ("true", 5, "expected a comparison, such as =, got the end"),
    ],
)
def test_a_refusal_says_where_and_why(text: str, position: int, problem: str) -> None:
    with pytest.raises(RuleError) as caught:
        parse_rule(text)
    assert str(caught.value) == f"position {position}: {problem}"


@pytest.mark.parametrize("text", ["(" * 5000 + "a = 1" + ")" * 5000, "not " * 5000 + "a = 1"])
def test_deep_nesting_is_refused(text: str) -> None:
    with pytest.raises(RuleError, match=str(MAX_DEPTH)):
        parse_rule(text)


@pytest.mark.parametrize(
    "text",
    ["not " * 60 + "(" + "not " * 60 + "(a = 1))", "(" * 60 + "not " * 60 + "a = 1" + ")" * 60],
    ids=["in brackets", "before brackets"],
)
def test_negations_count_as_levels(text: str) -> None:
    """An evaluation calls itself for each of them."""
    with pytest.raises(RuleError, match=f"nested more than {MAX_DEPTH} levels deep"):
        parse_rule(text)


def test_a_number_with_more_digits_than_python_reads_is_refused() -> None:
    with pytest.raises(RuleError, match="the number is too large"):
        parse_rule("a = " + "1" * 5000)
