"""Rules of audiences for property tests."""

from __future__ import annotations

from typing import Any

from hypothesis import strategies as st

from emulator.segments.rules import (
    COMPARISONS,
    KEYWORDS,
    STRING_FUNCTIONS,
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
)

VARIABLE = "E"
NAMES = st.from_regex(r"[a-z_][a-zA-Z0-9_]{0,5}", fullmatch=True).filter(lambda name: name not in KEYWORDS)
PATHS = st.lists(NAMES, min_size=1, max_size=3).map(tuple)
CONSTANTS: st.SearchStrategy[Constant] = st.one_of(
    st.text(max_size=8),
    st.integers(-(10**12), 10**12),
    st.floats(allow_nan=False, allow_infinity=False, min_value=-1e12, max_value=1e12),
    st.booleans(),
).map(Constant)


def attributes(variable: str | None) -> st.SearchStrategy[Attribute]:
    return st.builds(Attribute, PATHS, st.sampled_from(list({None, variable})))


def tests(variable: str | None) -> st.SearchStrategy[Rule]:
    fields = attributes(variable)
    operators: Any = st.sampled_from(COMPARISONS)
    functions: Any = st.sampled_from(STRING_FUNCTIONS)
    return st.one_of(
        st.builds(Comparison, fields, operators, st.one_of(CONSTANTS, fields)),
        st.builds(Comparison, CONSTANTS, operators, fields),
        st.builds(In, fields, st.lists(CONSTANTS, min_size=1, max_size=3).map(tuple)),
        # the case is an argument of the other two only
        st.builds(StringTest, fields, functions, st.text(max_size=8)),
        st.builds(StringTest, fields, st.just("contains"), st.text(max_size=8), st.booleans()),
        st.builds(Presence, fields, st.booleans()),
    )


def plain_rules(variable: str | None = None) -> st.SearchStrategy[Rule]:
    """Rules without a condition on events."""

    def compound(inner: st.SearchStrategy[Rule]) -> st.SearchStrategy[Rule]:
        several = st.lists(inner, min_size=2, max_size=3).map(tuple)
        return st.one_of(several.map(And), several.map(Or), inner.map(Not))

    return st.recursive(tests(variable), compound, max_leaves=8)


EVENT_RULES = st.builds(HasEvent, st.just(VARIABLE), st.one_of(st.none(), plain_rules(VARIABLE)))


def _beside(parts: tuple[Rule, HasEvent, bool]) -> Rule:
    rule, event, both = parts
    return And((rule, event)) if both else Or((event, rule))


RULES: st.SearchStrategy[Rule] = st.one_of(
    plain_rules(), EVENT_RULES, st.tuples(plain_rules(), EVENT_RULES, st.booleans()).map(_beside)
)
