"""docs/outcomes.md, made from the rules that run: ``python -m aep.ingestion.outcome_page > docs/outcomes.md``."""

from __future__ import annotations

import sys
from collections.abc import Sequence

from aep.ingestion.decision import GIVE_UP_TRIES, SPLIT_TRIES, RetryPolicy
from aep.ingestion.message_rules import ADDRESSES, MESSAGE_RULES, MessageRule
from aep.ingestion.rules import RULES, Rule

_DEFAULT = RetryPolicy()

_INTRODUCTION = f"""\
<!-- Made from aep/ingestion/ by `make docs`; a test holds the two together. Change the rules, not this page. -->

# What AEP answers, and what happens

After each request one rule decides. The rules are tried from the first to the last, and the first that applies
decides, so each row leaves out what the rows above it are about. The tables are made from the rules that run
(`rules.py` and `message_rules.py` in `aep/ingestion/`). "Not documented" means that Adobe's documents, as far as we
have read them, say nothing about it.

**Accepted** means that AEP's endpoint has received the message. What its asynchronous validation finds later is
another matter.

**Again** means that the same messages are sent again after a pause. Its length is drawn evenly between nothing and a
bound, which is {_DEFAULT.base_seconds:g} s after the first try, twice as long after each further one, and at most
`aep_retry_max_delay_seconds` ({_DEFAULT.max_seconds:g} s by default). A `Retry-After` of the reply, in seconds or as a
date, is waited for besides, {_DEFAULT.max_retry_after_seconds:g} s at most. This goes on without limit, unless
`aep_retry_budget_seconds` sets one; a line in the log tells of it once a minute, and reading waits meanwhile. Which
statuses are tried again is an option too, `aep_retry_statuses`; by default they are
{", ".join(map(str, sorted(_DEFAULT.transient_statuses)))}.

**Halved** means that the two halves of the batch are sent separately, at once, until what is wrong is alone.

**Dead-lettered** means that the record, and only that record, goes to the dead letters with a code and AEP's words.

**Stop** means an error that says what is wrong and which option to look at. The bundle fails and none of its offsets
are committed, so that nothing is lost: its records are read again. A local run ends with exit code 2; on Flink and
Dataflow the runner tries the bundle again, as it is set up to.

**Duplicates are possible** where AEP may have received a message although its reply does not say so. They are counted
in the summary's `duplicates_possible`. AEP's Profile store drops an event whose `_id` it has; the data lake keeps both.

Three numbers tell a fault of AEP's, of a message and of the set-up apart:

| number | why |
| --- | --- |
| {SPLIT_TRIES} tries | 500 may be AEP's trouble or a message that it cannot process. After so many in a row, and if \
others were accepted meanwhile, the batch is halved. From then on, if others that were sent later are accepted, its \
halves are halved at their first 500, without a pause. While nothing is accepted it is AEP's trouble, and nothing is \
given up |
| {GIVE_UP_TRIES} tries | likewise, one message is given up. With the pauses above this takes about five minutes; the \
messages that AEP fails on wait together, and other batches are sent meanwhile |
| {_DEFAULT.max_first_refusals} refusals | when a worker process has had so many messages of a route refused and none \
accepted, it is the set-up that is wrong, and dead letters would only pile up. `aep_max_first_refusals` sets another \
number; null dead-letters them all |

## The replies to a request

"""

_OF_A_207 = """
## The messages of a 207

A batch is answered with a 207, which has an answer for each message. Position tells which message is meant.

"""


def page() -> str:
    """The page, in Markdown."""
    links = "".join(f"[{title}]: {address}\n" for title, address in ADDRESSES.items())
    return f"{_INTRODUCTION}{_table(RULES)}{_OF_A_207}{_table(MESSAGE_RULES)}\n{links}"


def _table(rules: Sequence[Rule] | Sequence[MessageRule]) -> str:
    rows = [("what comes back", "what happens", "source"), ("---",) * 3]
    rows += [(rule.what_comes_back, rule.what_happens, _linked(rule.source)) for rule in rules]
    return "".join(f"| {' | '.join(row)} |\n" for row in rows)


def _linked(source: str) -> str:
    for title in ADDRESSES:
        source = source.replace(title, f"[{title}]")
    return source


if __name__ == "__main__":
    sys.stdout.write(page())
