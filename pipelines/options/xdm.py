"""The options of what records become and must fit: XDM schemas and rules, and mappings."""

from aep.ingestion.envelope import Payload
from aep.mapping.json_patch import PatchDialect
from aep.xdm.harden import UnknownFields
from aep.xdm.rules import Identity, Nulls, XdmRules
from pipelines.options.group import OptionGroup, option
from pipelines.options.types import (
    Count,
    IdRule,
    Pointers,
    Seconds,
    Sha256,
    Strings,
    TransformReference,
    WrittenMapping,
)


class XdmOptions(OptionGroup):
    """XDM: the schema, and the checks a record must pass before it is posted."""

    schema_file: str | None = option(
        None, "File of the resolved schema, as the Schema Registry returns it for xed-full."
    )
    schema_id: str | None = option(
        None,
        "The schema's $id. Null: the one in the schema file. Without a file the schema is taken from the Schema "
        "Registry (aep_platform_url), and looked up again every 15 minutes.",
    )
    schema_sha256: Sha256 | None = option(None, "SHA-256 of the schema file; a file with another content is refused.")
    payload: Payload = option(
        "entity",
        "What a record's value is: an XDM entity (an envelope is put around it), a whole message, or raw data.",
    )
    id_from: IdRule = option(
        (),
        "Fill in a missing _id, the same each time a record is sent: offset (of topic, partition and offset), or JSON "
        "pointers to fields, for a hash of their values. Empty: leave it.",
    )
    unknown_fields: UnknownFields = option("reject", "What happens to fields the schema lacks.")
    nulls: Nulls = option("reject", "What happens to null values; prune removes them.")
    integer_ranges: bool = option(True, "Refuse integers that do not fit their XDM type (byte, short, int, long).")
    identity: Identity = option("off", "required: refuse a record without an identity.")
    primary_identity: Pointers = option(
        (),
        "JSON pointers to the primary identity, such as /_acme/memberId. Empty: that of the schema's descriptors.",
    )
    namespaces: Strings = option((), "Identity namespaces allowed in identityMap. Empty: all.")
    max_future_seconds: Seconds = option(300.0, "How far ahead of now an event's timestamp may be.", "seconds")
    max_age_days: Seconds | None = option(None, "How old an event may be. Null: any age.", "days")
    max_event_bytes: Count = option(10_240, "Largest event (time-series class), serialised.", "bytes")
    max_record_bytes: Count = option(102_400, "Largest record (profile class), serialised.", "bytes")

    def rules(self) -> XdmRules:
        """Return what records are asked for beyond their schemas."""
        return XdmRules(
            unknown_fields=self.unknown_fields,
            nulls=self.nulls,
            integer_ranges=self.integer_ranges,
            identity=self.identity,
            primary_identity=self.primary_identity,
            namespaces=self.namespaces,
            max_future_seconds=self.max_future_seconds,
            max_age_days=self.max_age_days,
            max_event_bytes=self.max_event_bytes,
            max_record_bytes=self.max_record_bytes,
        )


class MapOptions(OptionGroup):
    """Mapping: how an XDM record is made from the record read, before validation."""

    # Before the mapping, which is compiled by it.
    patch_dialect: PatchDialect = option(
        "rfc6902",
        "Whose rules a JSON Patch follows. adobe: those of Adobe's JsonPatchTransform for Kafka Connect, where to "
        "remove what is absent does nothing, and to move or copy it sets null.",
    )
    file: WrittenMapping = option(
        None,
        "A YAML or JSON file, or, in an options file, its content. A list is a JSON Patch (RFC 6902); a mapping "
        "names, for each XDM field, the field, constant or Kafka metadata it is made from.",
    )
    transform: TransformReference | None = option(
        None,
        "A Python function that records go through after the mapping, given as "
        "package.module:function. It takes a record "
        "and its metadata, and returns a record, or None to drop it. It must be importable where the workers run.",
    )
