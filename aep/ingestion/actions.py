"""Decisions that need more than a constant: retries, per-message results and user-facing errors."""

from __future__ import annotations

from collections.abc import Callable

from aep.errors import AuthenticationError, ConfigurationError, NetworkError, ReplyError, RetryBudgetError
from aep.ingestion.decision import (
    MAY_HAVE_ARRIVED,
    Context,
    Decision,
    PerMessage,
    Retry,
    Stop,
    describe,
    describe_status,
)
from aep.ingestion.message_rules import refused_by_reply, sent_again


def retry(context: Context) -> Decision:
    """Retry all messages after the pause; the status is the cause."""
    failed = context.status == 500
    return Retry(
        context.after,
        str(context.status),
        arrived=context.status in MAY_HAVE_ARRIVED,
        failed=failed and (context.sent.messages > 1 or context.is_about_messages),
        aside=failed and context.others_still_pass,
    )


def retry_without_reply(context: Context) -> Decision:
    """Retry all messages after the pause; they may have arrived if the connection broke."""
    assert isinstance(context.outcome, NetworkError)
    return Retry(context.after, context.outcome.cause, arrived=isinstance(context.outcome, ReplyError))


def settle(context: Context) -> Decision:
    """Decide about each message by its own result.

    Messages that go again together share a count of failures. It grows only when AEP has failed on each of them, so
    that none is given up for the failures of another.
    """
    results, again = context.results or [], sent_again(context)
    statuses = [results[at].status for at in again]
    arrived = sum(status in MAY_HAVE_ARRIVED for status in statuses)
    failed = set(statuses) == {500}
    return PerMessage(
        results,
        again,
        context.after,
        arrived,
        failed=failed and context.is_about_messages,
        aside=failed and context.others_still_pass,
    )


def stop(advice: str) -> Callable[[Context], Decision]:
    """Return a decision to stop with an error about the set-up, and advice."""
    return lambda context: Stop(ConfigurationError(f"{describe(context.outcome)}; {advice}"))


def stop_credential(context: Context) -> Decision:
    """Stop: the inlet refuses the credential."""
    return Stop(
        AuthenticationError(
            f"the inlet refuses the credential: {describe(context.outcome)}; check that aep_auth fits the connection "
            "and that the credential belongs to its organisation"
        )
    )


def stop_setup(context: Context) -> Decision:
    """Stop: many messages were refused and none accepted."""
    refused = context.inlet.refused + refused_by_reply(context)
    return Stop(
        ConfigurationError(
            f"the first {refused} messages were all refused, the last with: {_last_words(context)}; check "
            "xdm_schema_file or xdm_schema_id, aep_dataset_id and aep_org_id against the connection; "
            "if it is the messages' fault, aep_max_first_refusals=null dead-letters them"
        )
    )


def stop_budget(context: Context) -> Decision:
    """Stop: AEP could not take the messages for too long."""
    return Stop(
        RetryBudgetError(
            f"AEP could not take all messages for {context.policy.budget_seconds:g} s (aep_retry_budget_seconds), "
            f"last: {_last_words(context)}"
        ),
        context.results or [],
    )


def _last_words(context: Context) -> str:
    """Return AEP's message about the last record it did not accept."""
    if context.results is None:
        return describe(context.outcome)
    last = [result for result in context.results if not result.accepted][-1]
    return describe_status(last.status, last.message[:500])
