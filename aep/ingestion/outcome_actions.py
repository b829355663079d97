"""What the rules decide, where it takes more than a word: tries, answers message by message, and errors for people."""

from __future__ import annotations

from collections.abc import Callable

from aep.errors import AuthenticationError, ConfigurationError, NetworkError, ReplyError, RetryBudgetError
from aep.ingestion.element_rules import refused_by_reply, sent_again
from aep.ingestion.outcomes import MAY_HAVE_ARRIVED, Case, Decision, Retry, Settle, Stop, describe, describe_status


def retry(case: Case) -> Decision:
    """All again after the pause; the status is the cause."""
    aside = case.status == 500 and case.others_still_pass
    return Retry(case.after, str(case.status), arrived=case.status in MAY_HAVE_ARRIVED, aside=aside)


def retry_without_reply(case: Case) -> Decision:
    """All again after the pause; they may have arrived if the connection broke."""
    assert isinstance(case.outcome, NetworkError)
    return Retry(case.after, case.outcome.cause, arrived=isinstance(case.outcome, ReplyError))


def settle(case: Case) -> Decision:
    """Each message by its own answer."""
    elements, again = case.elements or [], sent_again(case)
    statuses = [elements[at].status for at in again]
    arrived = sum(status in MAY_HAVE_ARRIVED for status in statuses)
    return Settle(elements, again, case.after, arrived, failed=500 in statuses)


def stop(advice: str) -> Callable[[Case], Decision]:
    """An error of the set-up, with what to do about it."""
    return lambda case: Stop(ConfigurationError(f"{describe(case.outcome)}; {advice}"))


def stop_credential(case: Case) -> Decision:
    """The inlet does not take the credential."""
    return Stop(
        AuthenticationError(
            f"the inlet refuses the credential: {describe(case.outcome)}; check that aep_auth fits the connection and "
            "that the credential belongs to its organisation"
        )
    )


def stop_setup(case: Case) -> Decision:
    """So many refusals and nothing accepted."""
    refused = case.inlet.refused + refused_by_reply(case)
    return Stop(
        ConfigurationError(
            f"the first {refused} messages were all refused, the last with: {_last_words(case)}; check xdm_schema_file "
            "or xdm_schema_id, aep_dataset_id and aep_org_id against the connection; if it is the messages' fault, "
            "aep_max_first_refusals=null dead-letters them"
        )
    )


def stop_budget(case: Case) -> Decision:
    """AEP could not take the messages for too long."""
    return Stop(
        RetryBudgetError(
            f"AEP could not take all messages for {case.policy.budget_seconds:g} s (aep_retry_budget_seconds), "
            f"last: {_last_words(case)}"
        ),
        case.elements or [],
    )


def _last_words(case: Case) -> str:
    """What AEP says of the last message that it did not accept."""
    if case.elements is None:
        return describe(case.outcome)
    last = [element for element in case.elements if not element.accepted][-1]
    return describe_status(last.status, last.message[:500])
