"""Rules for the messages of a batch that AEP answers one by one, with a 207: the first that applies wins.

AEP answers 207 "in success, partial success, and also in failure situations" (Stream multiple messages in a single
HTTP request).
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal

from aep.ingestion.decision import GIVE_UP_TRIES, Context
from aep.ingestion.envelope import MessageResult

# The documents of Adobe that the tables here and in rules.py cite, in the version that was read.
API = "Streaming Ingestion API (OpenAPI)"
MULTIPLE = "Stream multiple messages in a single HTTP request"
VALIDATION = "Streaming validation guide"
CONNECTOR = "Adobe's Kafka Connect sink"

OUR_CHOICE = "Not documented; our choice"

ADDRESSES = {
    API: "https://github.com/AdobeDocs/experience-platform-apis/blob/16c60cd/static/swagger-specs/streaming-ingestion.yaml",
    MULTIPLE: "https://github.com/AdobeDocs/experience-platform.en/blob/defbdf5/help/ingestion/tutorials/"
    "streaming-multiple-messages.md",
    VALIDATION: "https://github.com/AdobeDocs/experience-platform.en/blob/d955473/help/ingestion/quality/"
    "streaming-validation.md",
    CONNECTOR: "https://github.com/adobe/experience-platform-streaming-connect/tree/da7726c",
}

Disposition = Literal["accepted", "again", "refused"]


@dataclass(frozen=True)
class MessageRule:
    """What to do with one message.

    Attributes:
        name: Name of the rule.
        what_comes_back: AEP's answer to the message, in words.
        what_happens: In words; a paragraph of docs/outcomes.md.
        source: Where Adobe says so.
        applies: Whether it covers this result in this reply.
        disposition: What becomes of the message.
    """

    name: str
    what_comes_back: str
    what_happens: str
    source: str
    applies: Callable[[MessageResult, Context], bool]
    disposition: Disposition


MESSAGE_RULES: tuple[MessageRule, ...] = (
    MessageRule(
        "accepted",
        "an `xactionId` and no status, or a status of 2xx",
        "accepted",
        f"{MULTIPLE}, Response; with `status`: {CONNECTOR}",
        lambda result, context: result.accepted,
        "accepted",
    ),
    MessageRule(
        "failing",
        f"500, {GIVE_UP_TRIES} times in a row, while others of its batch, or sent later, are accepted",
        "that message alone is dead-lettered, `rejected`, with AEP's words",
        OUR_CHOICE,
        lambda result, context: result.status == 500 and context.fails_on_message(),
        "refused",
    ),
    MessageRule(
        "transient",
        "408, 429 (or another of `aep_retry_statuses`), 5xx",
        "that message alone is sent again; duplicates are possible after 500, 502 and 504",
        f"{MULTIPLE}, Identify failed messages: what was accepted need not be sent again. Which statuses are worth "
        "another try is not documented; our choice",
        lambda result, context: result.status in context.policy.transient_statuses or result.status >= 500,
        "again",
    ),
    MessageRule(
        "refused",
        "any other 4xx",
        "that message alone is dead-lettered, `rejected`, with AEP's words; the others keep their results",
        f"{MULTIPLE}, Identify failed messages (`statusCode`, `message`); {CONNECTOR} (`status`)",
        lambda result, context: True,
        "refused",
    ),
)


def message_rule(result: MessageResult, context: Context) -> MessageRule:
    return next(rule for rule in MESSAGE_RULES if rule.applies(result, context))


def sent_again(context: Context) -> list[int]:
    """Return positions of the messages that AEP could not take now."""
    if context.results is not None and context.accepted == len(context.results):
        return []
    dispositions = [message_rule(result, context).disposition for result in context.results or ()]
    return [position for position, disposition in enumerate(dispositions) if disposition == "again"]


def refused_by_reply(context: Context) -> int:
    """Return how many messages the reply rejects for good; 0 unless it rejects all that were sent."""
    if context.results is not None:
        return 0 if context.accepted or sent_again(context) else len(context.results)
    return int(context.status in (400, 422) and context.sent.messages == 1)
