"""What the codes of dead letters mean, with an example of each message, and what to do about it.

`docs/dead-letter-codes.md` is made of it, and `beam-aep dead-letters show` explains dead letters by it. The codes of
schemas and of the rules beside them are in `schema_codes`.
"""

from __future__ import annotations

import re

from transforms.records.schema_codes import RULE_CODES, SCHEMA_CODES, Code

PAGE = "docs/dead-letter-codes.md"

PARSE_CODES = (
    Code(
        "empty",
        "The value has no bytes, or only white space.",
        "the value is empty",
        "Find out what writes such records. A tombstone has no value at all (null), and `kafka_tombstones` says what "
        "happens to it.",
    ),
    Code(
        "json",
        "The value is not JSON in UTF-8; or, in validation, it holds what no JSON document can.",
        "not JSON at byte 1: unexpected character, expected a string key",
        "Fix the producer. If the topic holds Avro, set the route's `format: avro`.",
    ),
    Code(
        "type",
        "The value is JSON, but not an object; in validation, a field has another type than the schema gives it.",
        "expected type: String, found: Long",
        "Change the producer, or convert the field in the route's `map` (`type: string`).",
    ),
    Code(
        "too_deep",
        "Objects and arrays are nested more deeply than the parser follows.",
        "objects and arrays are nested too deeply, more than 254 levels",
        "Flatten the record; AEP's schemas are not so deep.",
    ),
    Code(
        "integer_range",
        "An integer does not fit into 64 bits, so it could not be sent on unchanged.",
        "an integer of 20 characters exceeds 64 bits",
        "Write such numbers as text.",
    ),
    Code(
        "duplicate_key",
        "A key occurs twice in one object, and parsers differ in which of the two they keep.",
        "the key 'a' occurs twice in one object",
        "Fix the producer.",
    ),
    Code(
        "tombstone",
        "A record without a value: with `kafka_tombstones: dead_letter` always; with `delete`, where its key does not "
        "say what to delete.",
        "the record has no value",
        "`kafka_tombstones: skip` leaves them out. For `delete`, `aep_key_field` names the attribute that the key is.",
    ),
    Code(
        "avro",
        "The value does not match its Avro schema, or does not name one that the registry has.",
        "not Confluent's wire format: the value begins with the byte 0x7b, not 0x00 or 0x01, and looks like JSON",
        "If values are plain Avro, give the schema with `kafka_avro_schema_file`; if they are JSON, `format: json`. "
        "Otherwise look at the producer's serializer, and whether `kafka_schema_registry_url` is its registry.",
    ),
    Code(
        "header_name",
        "The name of a header is not UTF-8. The Kafka client then gives none of the record's headers.",
        "the name of a header is not UTF-8, so none of its headers could be read; the dead letter has none",
        "Fix the producer. A replay takes the record without its headers.",
    ),
    Code(
        "kpl_aggregated",
        "A Kinesis record into which the Kinesis Producer Library has packed several (`kinesis_to_kafka`).",
        "several records that the Kinesis Producer Library has put into one, which is not taken apart here: set "
        "AggregationEnabled=false in the producer's configuration, or take them apart with the Kinesis Client Library",
        "Turn aggregation off in that producer. AEP does not aggregate: another producer writes to the stream.",
    ),
)

MAP_CODES = (
    Code(
        "no_route",
        "The record fits the conditions (`when`) of none of the routes that take its topic.",
        "the record fits the conditions (when) of no route that takes its topic",
        "Add a route without `when` after the others, or one with `drop`, for what is not wanted.",
    ),
    Code(
        "map",
        "The route's map cannot be applied: a field is missing, or a value cannot be converted. The pointer is to the "
        "field of the record that was read.",
        "/total cannot be made from /sum: the field is absent or null",
        "Give the field `optional: true` or a `default` in the map, or correct `type`, `unit` and `pattern`. "
        "`beam-aep preview` shows the effect.",
    ),
    Code(
        "patch",
        "An operation of the route's JSON Patch does not apply, such as `remove` of a field that is not there.",
        "operation 0 of the patch (remove /a) does not apply: the record has no such path",
        "Change the patch; `map_patch_dialect: adobe` is as lenient as Adobe's JsonPatchTransform.",
    ),
    Code(
        "id_field_missing",
        "The record has no `_id`, and lacks a field from which `xdm_id_from` makes one.",
        "the record has no _id, and no such field to make one of (xdm_id_from)",
        "Name fields that all records have, or `offset`.",
    ),
    Code(
        "transform",
        "The route's Python function raised an exception.",
        "ValueError: no such store",
        "Fix the function; let it return None for records that are to be dropped.",
    ),
    Code(
        "transform_result",
        "The route's Python function returned what is not a JSON object.",
        "tests.own_steps:a_list returned list, expected a dict or None",
        "Return a dict of strings, finite numbers, booleans, None, dicts and lists.",
    ),
)

POST_CODES = (
    Code(
        "rejected",
        "The destination has refused this record, and takes others. The message is the destination's own.",
        "the message has no schemaRef",
        "Read the message. For AEP, `beam-aep send` validates one event synchronously and lists all that is wrong; "
        "[the rules](outcomes.md) say after which replies a record is given up.",
    ),
    Code(
        "bad_key",
        "No partition key for Kinesis can be made of the record.",
        "the record has no identity in identityMap to make a partition key from",
        "Choose another `kinesis_partition_key` or other `kinesis_identities`; `random` needs nothing of the record.",
    ),
)

INGEST_CODES = (
    Code(
        "failed",
        "AEP has rejected the record after it had accepted it, and gives no code (`beam-aep failed-batches`).",
        "AEP gives no reason",
        "Look at our own check among the violations of the dead letter, and at the batch in AEP's monitoring.",
    ),
)

CODES = {each.code: each for each in (*PARSE_CODES, *MAP_CODES, *SCHEMA_CODES, *RULE_CODES, *POST_CODES, *INGEST_CODES)}
"""All codes of this project's own, by name."""

ADOBE = "Codes of AEP"
CONNECT = "Codes of Kafka Connect"
_ADOBES = re.compile(r"[A-Z]+-\d+(-\d+)?")


def link_of(code: str) -> str:
    """Return the place on the page that explains a code: its own, or that of codes which others give."""
    if code in CODES:
        heading = code
    elif _ADOBES.fullmatch(code):
        heading = ADOBE
    else:
        heading = CONNECT if "." in code else ""
    anchor = heading.lower().replace(" ", "-")
    return f"{PAGE}#{anchor}" if anchor else PAGE
