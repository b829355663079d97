"""From PQL to rules, by recursive descent. Pure.

    rule        = conjunction {"or" conjunction}
    conjunction = negation {"and" negation}
    negation    = ("not" | "!") negation | condition
    condition   = "(" rule ")" | event | test
    event       = ("exists" | "select") NAME "from" "xEvent" [("where" | ":") rule]
    test        = operand operator operand
                | path "in" "[" literal {"," literal} "]"
                | path "." function "(" [string ["," boolean]] ")"
    operand     = literal | path
    path        = NAME {"." NAME}

`select X from xEvent where ...` is how Adobe writes rules on events in "Streaming segmentation".
"""

from __future__ import annotations

from typing import cast

from emulator.segments.rules import (
    COMPARISONS,
    KEYWORDS,
    STRING_FUNCTIONS,
    And,
    Attribute,
    Comparison,
    ComparisonOperator,
    Constant,
    HasEvent,
    In,
    Not,
    Operand,
    Or,
    Presence,
    Rule,
    StringFunction,
    StringTest,
)
from emulator.segments.tokens import RuleError, Token, tokenize

MAX_DEPTH = 100
_PRESENCE = {"isNotNull": True, "isNull": False}
_EVENTS = "xEvent"


def parse_rule(text: str) -> Rule:
    """Return the rule of a text in PQL.

    Raises:
        RuleError: The text is not PQL, or more of it than is evaluated here; its position says where.
    """
    return _Parser(tokenize(text)).whole()


class _Parser:
    """Reads tokens from left to right; `_next` is the one to read."""

    def __init__(self, tokens: list[Token]) -> None:
        self._tokens = tokens
        self._at = 0
        self._depth = 0
        self._variable: str | None = None  # of the event, inside its condition
        self._has_event = False

    def whole(self) -> Rule:
        rule = self._rule()
        if self._next.kind != "end":
            raise self._unexpected("'and', 'or' or the end")
        return rule

    @property
    def _next(self) -> Token:
        return self._tokens[self._at]

    def _take(self) -> Token:
        token = self._next
        self._at += 1
        return token

    def _take_if(self, *texts: str) -> bool:
        if self._next.kind in ("name", "symbol") and self._next.text in texts:
            self._at += 1
            return True
        return False

    def _expect(self, text: str) -> None:
        if not self._take_if(text):
            raise self._unexpected(f"'{text}'")

    def _unexpected(self, wanted: str) -> RuleError:
        return RuleError(self._next.position, f"expected {wanted}, got {self._next.shown}")

    def _deeper(self) -> None:
        """Go down a level: an evaluation calls itself for each."""
        self._depth += 1
        if self._depth > MAX_DEPTH:
            raise RuleError(self._next.position, f"nested more than {MAX_DEPTH} levels deep")

    def _rule(self) -> Rule:
        self._deeper()
        rules = [self._conjunction()]
        while self._take_if("or"):
            rules.append(self._conjunction())
        self._depth -= 1
        return rules[0] if len(rules) == 1 else Or(tuple(rules))

    def _conjunction(self) -> Rule:
        rules = [self._negation()]
        while self._take_if("and"):
            rules.append(self._negation())
        return rules[0] if len(rules) == 1 else And(tuple(rules))

    def _negation(self) -> Rule:
        times = 0
        while self._take_if("not", "!"):
            times += 1
            self._deeper()
        rule = self._condition()
        self._depth -= times
        for _ in range(times):
            rule = Not(rule)
        return rule

    def _condition(self) -> Rule:
        if self._take_if("("):
            rule = self._rule()
            self._expect(")")
            return rule
        if self._next.kind == "name" and self._next.text in ("exists", "select"):
            return self._event()
        return self._test()

    def _event(self) -> Rule:
        if self._has_event:
            raise RuleError(self._next.position, "rules on more than one event are not supported")
        self._has_event = True
        self._take()
        variable = self._name("the name of a variable")
        self._expect("from")
        if self._next.text != _EVENTS:
            raise RuleError(self._next.position, f"only events can be searched: expected '{_EVENTS}'")
        self._take()
        condition = None
        if self._take_if("where", ":"):
            self._variable = variable
            condition = self._rule()
            self._variable = None
        return HasEvent(variable, condition)

    def _test(self) -> Rule:
        start = self._next
        left = self._operand("a condition")
        if isinstance(left, Attribute):
            if self._take_if("("):
                return self._call(left)
            if self._take_if("in"):
                return In(left, self._list())
        elif self._next.text == "in":
            raise RuleError(start.position, "expected an attribute before 'in'")
        operator = self._next.text
        if self._next.kind != "symbol" or operator not in COMPARISONS:
            raise self._unexpected("a comparison, such as =")
        self._take()
        right_start = self._next
        right = self._operand("a value or an attribute")
        if self._next.text == "(":
            raise RuleError(right_start.position, "functions cannot be compared with")
        if isinstance(left, Constant) and isinstance(right, Constant):
            raise RuleError(start.position, "the comparison names no attribute")
        return Comparison(left, cast(ComparisonOperator, operator), right)

    def _call(self, called: Attribute) -> Rule:
        """Read the arguments of a function; its name was read as the last step of a path."""
        token = self._tokens[self._at - 2]
        *path, name = called.path
        if name not in STRING_FUNCTIONS and name not in _PRESENCE:
            known = ", ".join([*STRING_FUNCTIONS, *_PRESENCE])
            raise RuleError(token.position, f"the function {name} is not supported, only {known}")
        if not path:
            raise RuleError(token.position, f"expected an attribute before {name}")
        attribute = Attribute(tuple(path), called.variable)
        if name in _PRESENCE:
            self._expect(")")
            return Presence(attribute, _PRESENCE[name])
        if self._next.kind != "string":
            raise self._unexpected("a string")
        text = self._take().value
        case_sensitive = True
        if name != "equals" and self._take_if(","):
            if self._next.text not in ("true", "false"):
                raise self._unexpected("true or false")
            case_sensitive = self._take().text == "true"
        self._expect(")")
        return StringTest(attribute, cast(StringFunction, name), text, case_sensitive)

    def _list(self) -> tuple[Constant, ...]:
        self._expect("[")
        items = [self._literal()]
        while self._take_if(","):
            items.append(self._literal())
        self._expect("]")
        return tuple(items)

    def _literal(self) -> Constant:
        found = self._constant()
        if found is None:
            raise self._unexpected("a string, a number, true or false")
        return found

    def _constant(self) -> Constant | None:
        if self._next.kind in ("string", "number"):
            return Constant(self._take().value)
        if self._next.kind == "name" and self._next.text in ("true", "false"):
            return Constant(self._take().text == "true")
        return None

    def _operand(self, wanted: str) -> Operand:
        constant = self._constant()
        if constant is not None:
            return constant
        start = self._next
        path = [self._name(wanted)]
        while self._take_if("."):
            path.append(self._name("the name of a field"))
        if path[0] == self._variable:
            if len(path) == 1:
                raise RuleError(start.position, f"expected a field of {path[0]}, such as {path[0]}.eventType")
            return Attribute(tuple(path[1:]), self._variable)
        return Attribute(tuple(path))

    def _name(self, wanted: str) -> str:
        if self._next.kind != "name" or self._next.text in KEYWORDS:
            raise self._unexpected(wanted)
        return self._take().text
