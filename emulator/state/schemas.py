"""The one place where the emulator meets the XDM schema code it shares with the pipelines."""

from __future__ import annotations

from typing import Any

import orjson

from aep.xdm.rules import XdmRules
from aep.xdm.schema import SchemaError, parse_schema
from aep.xdm.validate import XdmValidator

# What AEP asks of a record of any schema, whatever the options of a pipeline ask. Only Profile looks at sizes.
_RULES = XdmRules(
    unknown_fields="reject",
    nulls="reject",
    integer_ranges=True,
    identity="off",
    primary_identity=(),
    namespaces=(),
    max_future_seconds=300,
    max_age_days=None,
    max_event_bytes=10_240,
    max_record_bytes=102_400,
)


class Schema:
    """A resolved XDM schema of a dataset, ready to validate entities.

    Attributes:
        document: The schema as it came.
        id: Its `$id`.
        major: Its major version.
    """

    def __init__(self, document: dict[str, Any], where: str) -> None:
        resolved = parse_schema(orjson.dumps(document), where)
        self.document = document
        self.id = resolved.id
        self.major = resolved.version.partition(".")[0]
        self._validator = XdmValidator(resolved, _RULES)

    def answers_to(self, schema_id: str, major: str) -> bool:
        """Return whether a `schemaRef` of this id and major version ("" for any) means this schema."""
        return schema_id == self.id and major in ("", self.major)

    def report(self, entity: dict[str, Any]) -> dict[str, Any] | None:
        """Validate an entity: None, or the violations in the form of the "Streaming validation" guide."""
        rejection = self._validator.check(entity)
        return None if rejection is None else rejection.as_adobe()


def load_schema(document: dict[str, Any], where: str) -> Schema:
    """Load a resolved schema document.

    Raises:
        ValueError: The document cannot be used; the message says why and what to do.
    """
    try:
        return Schema(document, where)
    except SchemaError as error:
        raise ValueError(str(error)) from error
    except orjson.JSONEncodeError as error:
        raise ValueError(f"{where} is nested too deeply") from error
