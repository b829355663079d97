"""What becomes of each message of a batch that AEP answers one by one, with a 207: rules, the first that applies wins.

AEP answers 207 "in success, partial success, and also in failure situations" (Stream multiple messages in a single
HTTP request).
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal

from aep.ingestion.adobe_documents import CONNECTOR, MULTIPLE, OUR_CHOICE
from aep.ingestion.envelope import Element
from aep.ingestion.outcomes import GIVE_UP_TRIES, Case

Fate = Literal["accepted", "again", "refused"]


@dataclass(frozen=True)
class ElementRule:
    """What to do with one message.

    Attributes:
      name: of the rule.
      what_comes_back: AEP's answer to the message, in words.
      what_happens: in words; a paragraph of docs/outcomes.md.
      source: where Adobe says so.
      applies: whether it is about this answer in this reply.
      fate: what becomes of the message.
    """

    name: str
    what_comes_back: str
    what_happens: str
    source: str
    applies: Callable[[Element, Case], bool]
    fate: Fate


ELEMENT_RULES: tuple[ElementRule, ...] = (
    ElementRule(
        "accepted",
        "an `xactionId` and no status, or a status of 2xx",
        "accepted",
        f"{MULTIPLE}, Response; with `status`: {CONNECTOR}",
        lambda element, case: element.accepted,
        "accepted",
    ),
    ElementRule(
        "failing",
        f"500, {GIVE_UP_TRIES} times in a row, while other messages are accepted",
        "that message alone is dead-lettered, `rejected`, with AEP's words",
        OUR_CHOICE,
        lambda element, case: element.status == 500 and case.fails_on_message(),
        "refused",
    ),
    ElementRule(
        "transient",
        "408, 429 (or another of `aep_retry_statuses`), 5xx",
        "that message alone is sent again; duplicates are possible after 500, 502 and 504",
        f"{MULTIPLE}, Identify failed messages: what was accepted need not be sent again. Which statuses are worth "
        "another try is not documented; our choice",
        lambda element, case: element.status in case.policy.transient_statuses or element.status >= 500,
        "again",
    ),
    ElementRule(
        "refused",
        "any other 4xx",
        "that message alone is dead-lettered, `rejected`, with AEP's words; the others stand",
        f"{MULTIPLE}, Identify failed messages (`statusCode`, `message`); {CONNECTOR} (`status`)",
        lambda element, case: True,
        "refused",
    ),
)


def element_rule(element: Element, case: Case) -> ElementRule:
    """The rule that decides on the message."""
    return next(rule for rule in ELEMENT_RULES if rule.applies(element, case))


def sent_again(case: Case) -> list[int]:
    """Positions of the messages that AEP could not take now."""
    return [at for at, element in enumerate(case.elements or ()) if element_rule(element, case).fate == "again"]


def refused_by_reply(case: Case) -> int:
    """How many messages the reply refuses for good, 0 unless it refuses all that were sent."""
    if case.elements is not None:
        accepted = any(element.accepted for element in case.elements)
        return 0 if accepted or sent_again(case) else len(case.elements)
    return int(case.status in (400, 422) and case.sent.messages == 1)
