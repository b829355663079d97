"""Data governance: marketing actions, data usage policies, labels of datasets, and what they forbid.

Sources: "Marketing actions endpoint", "Policies endpoint" (deny expressions), "Automatic policy enforcement". The names
of the core actions are those of Adobe's glossary in the spelling of its API, of which the documents show three.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping, Sequence
from typing import Any

from emulator.state.repository import Repository
from emulator.state.store import Store

CORE_ACTIONS: Mapping[str, str] = {
    "analytics": "Measuring, analysing and reporting on the use of an organisation's own sites and apps",
    "combineWithPii": "Combining anonymous data with data that identify a person directly",
    "crossSiteTargeting": "Targeting by information that was obtained across several sites",
    "dataScience": "Data science workflows",
    "emailTargeting": "Targeting in e-mail campaigns",
    "exportToThirdParty": "Exporting data to a processor that is not the customer",
    "onsiteAdvertising": "Advertising on an organisation's own sites and apps",
    "onsitePersonalization": "Personalising content on an organisation's own sites and apps",
    "segmentMatch": "Matching segments with those of another organisation",
    "singleIdentityPersonalization": "Personalising by one identity alone",
}
_MARK = "marketingActions/"


class Policies:
    """The marketing actions, policies and labels of all organisations.

    Attributes:
        policies: The policies that organisations have defined, by id.
        labels: The labels of datasets, by the id of the dataset.
    """

    def __init__(self, store: Store) -> None:
        self._actions = Repository(store, "marketing_action")
        self.policies = Repository(store, "policy")
        self.labels = Repository(store, "dataset_labels")

    def custom_actions(self, org_id: str) -> list[dict[str, Any]]:
        """Return the marketing actions that an organisation has defined."""
        return [action for _, action in self._actions.of(org_id)]

    def custom_action(self, org_id: str, name: str) -> dict[str, Any] | None:
        return self._actions.get(org_id, _key(org_id, name))

    def put_action(self, org_id: str, action: dict[str, Any]) -> None:
        """Define a marketing action, or replace the one of its name."""
        self._actions.put(org_id, _key(org_id, action["name"]), action)

    def remove_action(self, org_id: str, name: str) -> None:
        """Forget a marketing action."""
        self._actions.remove(_key(org_id, name))

    def knows(self, org_id: str, reference: str) -> bool:
        """Return whether a reference is of a marketing action that there is."""
        kind, _, name = action_of(reference).partition("/")
        return name in CORE_ACTIONS if kind == "core" else kind == "custom" and bool(self.custom_action(org_id, name))

    def policies_of(self, org_id: str, action: str) -> list[dict[str, Any]]:
        """Return the policies of an organisation about a marketing action, such as `core/exportToThirdParty`."""
        return [
            policy
            for _, policy in self.policies.of(org_id)
            if action in [action_of(each) for each in policy["marketingActionRefs"]]
        ]

    def violations(
        self, org_id: str, references: Sequence[str], dataset_ids: Collection[str]
    ) -> Iterator[dict[str, Any]]:
        """Yield what a use of datasets violates, by marketing action and as Adobe's `violations` show it.

        Args:
            org_id: The organisation.
            references: References of the marketing actions.
            dataset_ids: The datasets that the data come from.
        """
        labels = {each: set((self.labels.get(org_id, each) or {}).get("labels", ())) for each in dataset_ids}
        found = set().union(*labels.values())
        for reference in references:
            enabled = [each for each in self.policies_of(org_id, action_of(reference)) if each["status"] == "ENABLED"]
            violated = [each for each in enabled if denies(each["deny"], found)]
            if violated:
                entities = [
                    {"entityType": "dataSet", "entityId": each, "labels": sorted(of_it)}
                    for each, of_it in labels.items()
                    if of_it
                ]
                yield {"enforcementRef": reference, "entities": entities, "violatedPolicies": violated}


def action_of(reference: str) -> str:
    """Return the marketing action of a reference as `core/NAME` or `custom/NAME`; Adobe writes it in two ways."""
    return reference.rpartition(_MARK)[2].removesuffix("/constraints")


def denies(expression: Mapping[str, Any], labels: Collection[str]) -> bool:
    """Return whether a deny expression holds for labels; labels are compared with their case."""
    if "label" in expression:
        return expression["label"] in labels
    holds = [denies(each, labels) for each in expression["operands"]]
    return all(holds) if expression["operator"] == "AND" else any(holds)


def is_expression(value: Any) -> bool:
    """Return whether a value is a deny expression: `{label}`, or `{operator: AND or OR, operands}`."""
    if not isinstance(value, dict):
        return False
    if "label" in value:
        return isinstance(value["label"], str)
    operands = value.get("operands")
    return (
        value.get("operator") in ("AND", "OR")
        and isinstance(operands, list)
        and bool(operands)
        and all(is_expression(each) for each in operands)
    )


def _key(org_id: str, name: str) -> str:
    return f"{org_id} {name}"
