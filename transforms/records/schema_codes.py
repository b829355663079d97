"""The codes of violations: of the XDM schema, whose keywords they are, and of the rules beside it."""

from __future__ import annotations

from typing import NamedTuple


class Code(NamedTuple):
    """A code of dead letters.

    Attributes:
        code: As dead letters have it.
        meaning: What it says of a record.
        example: A message, as one dead letter had it.
        remedy: What to do.
    """

    code: str
    meaning: str
    example: str
    remedy: str


_NUMBER = "Correct the value in the producer or in the route's `map`; if it is right, change the schema in AEP."
_SIZE = "Correct the producer; if such values are right, change the schema in AEP."
_COMBINED = "Look at the schema with `beam-aep schema show`, and correct the record."

SCHEMA_CODES = (
    Code(
        "required",
        "A field that the schema requires is missing. The pointer is to the object that lacks it; `dead-letters show` "
        "prints its name.",
        "required key [timestamp] not found",
        "Fill the field in the producer, or in the route's `map`, with a `default` if need be. A missing `_id` can be "
        "made by `xdm_id_from`.",
    ),
    Code(
        "additionalProperties",
        "The record has a field that the schema does not have. AEP would drop it, or the whole record.",
        "extraneous key [colour] is not permitted",
        "Correct the spelling, add the field to the schema, or leave it out with a `map`. `xdm_unknown_fields: allow` "
        "lets such fields through.",
    ),
    Code(
        "wrong_tenant",
        "A field at the top begins with an underscore and is not the tenant namespace of the schema.",
        "[_other] is not the tenant namespace of this schema, [_acme]",
        "Put your own fields under the tenant namespace of the organisation that the dataset belongs to.",
    ),
    Code(
        "enum",
        "The value is none of those that the schema allows.",
        "blue is not a valid enum value: expected one of red, green",
        "Map it to one of the allowed values, or add it to the schema.",
    ),
    Code(
        "format",
        "A text does not have the form that its field asks for, such as a date-time.",
        "[31.1.2026] is not a valid date-time",
        "Write RFC 3339, such as 2026-01-31T08:00:00Z; a `map` with `type: date-time` converts other forms.",
    ),
    Code(
        "pattern",
        "A text does not match the pattern of its field.",
        "string [abc] does not match pattern ^[A-Z]+$",
        "Correct the value, or the pattern in the schema.",
    ),
    Code("minLength", "A text is too short.", "expected minLength: 2, actual: 1", _SIZE),
    Code("maxLength", "A text is too long.", "expected maxLength: 3, actual: 4", _SIZE),
    Code(
        "minimum",
        "A number is too small; also an integer that does not fit its XDM type (byte, short, int, long).",
        "-1 is not greater or equal to 0",
        _NUMBER + " `xdm_integer_ranges: false` leaves out the ranges of XDM's types.",
    ),
    Code(
        "maximum",
        "A number is too large; also an integer that does not fit its XDM type (byte, short, int, long).",
        "101 is not less or equal to 100",
        _NUMBER + " `xdm_integer_ranges: false` leaves out the ranges of XDM's types.",
    ),
    Code(
        "exclusiveMinimum",
        "A number is not above its bound.",
        "3 is less than or equal to the minimum of 3",
        _NUMBER,
    ),
    Code(
        "exclusiveMaximum",
        "A number is not below its bound.",
        "3 is greater than or equal to the maximum of 3",
        _NUMBER,
    ),
    Code("multipleOf", "A number is not a multiple of what the schema says.", "3 is not a multiple of 2", _NUMBER),
    Code("minItems", "A list has too few items.", "expected minimum item count: 1, found: 0", _SIZE),
    Code("maxItems", "A list has too many items.", "expected maximum item count: 1, found: 2", _SIZE),
    Code("uniqueItems", "A list has the same item twice.", "[1,1] has non-unique elements", _SIZE),
    Code(
        "additionalItems",
        "A list has more items than the schema describes.",
        "Additional items are not allowed (2 was unexpected)",
        _SIZE,
    ),
    Code("minProperties", "An object has too few fields.", "expected minimum property count: 1, found: 0", _SIZE),
    Code("maxProperties", "An object has too many fields.", "expected maximum property count: 1, found: 2", _SIZE),
    Code(
        "anyOf",
        "The value fits none of several alternatives of the schema.",
        "1 is not valid under any of the schemas listed in the 'anyOf' keyword",
        _COMBINED,
    ),
    Code(
        "oneOf",
        "The value fits none, or several, of the alternatives of which exactly one must fit.",
        "1 is valid under more than one of the schemas listed in the 'oneOf' keyword",
        _COMBINED,
    ),
    Code("not", "The value fits what the schema forbids.", '{"type":"string"} is not allowed for "a"', _COMBINED),
    Code(
        "schema",
        "The record does not match the schema, and the validator does not say where.",
        "the record does not match the schema",
        _COMBINED,
    ),
)

RULE_CODES = (
    Code(
        "too_large",
        "The record is larger than Profile keeps (`xdm_max_event_bytes`, `xdm_max_record_bytes`), or than a request to "
        "the destination holds.",
        "13 bytes exceed the limit of 10 bytes",
        "Leave fields out with a `map`, or split the record.",
    ),
    Code("empty_id", "`_id` is there and blank.", "_id is empty", "Fill it in, or leave it out and set `xdm_id_from`."),
    Code(
        "timestamp_future",
        "The event's time is further ahead of the clock than `xdm_max_future_seconds`: AEP wants it in the past.",
        "timestamp is 1,000 s in the future",
        "Look at the producer's clock, and at the unit of the time (`unit` in a `map`).",
    ),
    Code(
        "timestamp_old",
        "The event is older than `xdm_max_age_days`.",
        "timestamp is 10.0 days old",
        "Raise `xdm_max_age_days` for a backfill, or remove it.",
    ),
    Code(
        "no_identity",
        "The record has no identity, and `xdm_identity: required` asks for one.",
        "the record has no identity; identityMap must hold one",
        "Fill `identityMap` in the `map`; for data without Profile, `xdm_identity: off`.",
    ),
    Code(
        "primary_identity_missing",
        "The primary identity is missing or empty: the field that the schema's descriptor or `xdm_primary_identity` "
        "names, or an entry of `identityMap` that is marked as primary.",
        "the primary identity is missing or empty",
        "Fill it in, or let `xdm_primary_identity` name another field.",
    ),
    Code(
        "many_primary",
        "Several identities are marked as primary; Profile takes one.",
        "2 identities are marked as primary, exactly one must be",
        "Mark one of them.",
    ),
    Code(
        "empty_identity",
        "An identity has no id.",
        "the identity has no id",
        "Leave identities without a value out (`optional: true` in a `map`).",
    ),
    Code(
        "blocked_identity",
        "The value is one of those that Identity Service blocks, such as `null` or `anonymous`.",
        'Identity Service blocks identities with the value "anonymous"',
        "Leave such identities out.",
    ),
    Code(
        "ecid",
        "The value is not an Experience Cloud ID: 38 digits, two positive numbers of 64 bits.",
        "not a valid ECID: expected 38 digits, two 19-digit numbers from 1 to 9223372036854775807",
        "Use the ECID as Adobe's SDK gives it, as text; other identifiers belong to another namespace.",
    ),
    Code(
        "identity_too_long",
        "An identity is longer than Identity Service takes.",
        "1,025 characters, at most 1,024 are allowed",
        "Send a shorter identifier, or a hash of it.",
    ),
    Code(
        "unknown_namespace",
        "An identity's namespace is not among `xdm_namespaces`.",
        "this identity namespace is not allowed",
        "Correct the namespace, or add it to `xdm_namespaces` of the run or `namespaces` of the route.",
    ),
    Code(
        "too_many_identities",
        "`identityMap` has more identities than Identity Service takes from one record.",
        "21 identities, at most 20 are allowed",
        "Send those that identify the person.",
    ),
    Code(
        "envelope",
        "A whole message (`xdm_payload: message`) lacks its header or its body.",
        "a message needs the objects header and body",
        "Set `xdm_payload: entity` if the records are entities; the envelope is then made.",
    ),
    Code(
        "schema_ref",
        "The `schemaRef` of a whole message is missing, differs between header and body, or is not the route's schema.",
        "a message needs header.schemaRef with id and contentType",
        "Correct the producer, or the route's `schema_id` and `schema_file`.",
    ),
    Code(
        "dataset",
        "A whole message names another dataset than its route.",
        "the route's datasetId is D",
        "Send it to the route of its dataset, or correct `dataset_id`.",
    ),
    Code(
        "org",
        "A whole message names another organisation than its route.",
        "the route's imsOrgId is O",
        "Correct the producer, or `org_id`.",
    ),
    Code(
        "operations",
        "A raw record has `header.operations` that do not make an upsert.",
        "a record with header.operations needs the object body",
        "See [upserts](duplicates-and-order.md).",
    ),
)
