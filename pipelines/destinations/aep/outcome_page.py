"""Make docs/outcomes.md from the rules that run: `python -m pipelines.destinations.aep.outcome_page` (`make docs`)."""

from __future__ import annotations

import sys
from collections.abc import Sequence

from aep.ingestion.decision import GIVE_UP_TRIES, SPLIT_TRIES, RetryPolicy
from aep.ingestion.message_rules import ADDRESSES, MESSAGE_RULES, MessageRule
from aep.ingestion.retry_rules import Rule
from aep.ingestion.rules import RULES
from pipelines.options.aep import AepOptions

_DEFAULT = AepOptions()

_INTRODUCTION = f"""\
<!-- Generated from aep/ingestion/ by `make docs`; a test compares the two. Change the rules, not this page. -->

# Replies from AEP, and what the pipeline does

After each request one rule decides: the first in the table that applies. Each row therefore excludes the cases of the
rows above it. The tables are generated from the rules themselves (`rules.py`, `retry_rules.py` and `message_rules.py`
in `aep/ingestion/`). "Not documented" means that we have found nothing about it in Adobe's documents.

**Accepted** means that AEP's endpoint has received the message. Its asynchronous validation may still reject it.

**Again** means that the same messages are sent again after a pause with full jitter: uniform between 0 and a bound,
which is {RetryPolicy.base_seconds:g} s after the first try, doubles with each further one, and is at most
`aep_retry_max_delay_seconds` ({_DEFAULT.retry_max_delay_seconds:g} s by default). A `Retry-After` header, in seconds \
or as a date, is added, up to {RetryPolicy.max_retry_after_seconds:g} s. This goes on without limit unless
`aep_retry_budget_seconds` sets one; it is logged once a minute, and reading waits meanwhile. `aep_retry_statuses` says
which statuses are retried; the default is {", ".join(map(str, _DEFAULT.retry_statuses))}.

**Halved** means that the two halves of the batch are sent separately, at once, and halved again until the message at
fault is alone.

**Dead-lettered** means that the record, and only that record, is written to the dead letters with a code and AEP's
message.

**Stop** means an error that says what is wrong and which option to look at. The bundle fails and none of its offsets
are committed, so nothing is lost: its records are read again. A local run ends with exit code 2; on Flink and Dataflow
the runner retries the bundle as configured.

**Duplicates are possible** where AEP may have received a message although its reply does not say so. They are counted
in the summary's `duplicates_possible`. AEP's Profile store drops an event whose `_id` it already has; the data lake
keeps both.

Three numbers distinguish a fault of AEP, of a message and of the configuration:

| number | why |
| --- | --- |
| {SPLIT_TRIES} tries | a 500 may come from an outage or from a message that AEP cannot process. After this many in a \
row, if other batches were accepted meanwhile, the batch is halved. From then on, if batches sent later are accepted, \
its halves are halved at their first 500, without a pause. While nothing sent later is accepted it is an outage, and \
nothing is given up |
| {GIVE_UP_TRIES} tries | likewise, a single message is dead-lettered. After the first {SPLIT_TRIES}, a try counts \
only while others sent later are accepted, or if AEP has accepted others of the same batch. With the pauses above this \
takes about five minutes; such messages wait together, and other batches are sent meanwhile |
| {_DEFAULT.max_first_refusals} refusals | when a worker process has had this many messages of a route refused and \
none accepted, the configuration is wrong, and dead letters would only pile up. `aep_max_first_refusals` sets another \
number; null dead-letters them all |

## The replies to a request

"""

_OF_A_207 = """
## The messages of a 207

A batch is answered with a 207, which has a result for each message, matched by position.

"""


def page() -> str:
    links = "".join(f"[{title}]: {address}\n" for title, address in ADDRESSES.items())
    return f"{_INTRODUCTION}{_table(RULES)}{_OF_A_207}{_table(MESSAGE_RULES)}\n{links}"


def _table(rules: Sequence[Rule] | Sequence[MessageRule]) -> str:
    rows = [("reply", "what happens", "source"), ("---",) * 3]
    rows += [(rule.what_comes_back, rule.what_happens, _linked(rule.source)) for rule in rules]
    return "".join(f"| {' | '.join(row)} |\n" for row in rows)


def _linked(source: str) -> str:
    for title in ADDRESSES:
        source = source.replace(title, f"[{title}]")
    return source


if __name__ == "__main__":
    sys.stdout.write(page())
