"""What a connector's configuration says of values: converters, and transforms (SMT) with their predicates."""

from __future__ import annotations

import json
import re
from collections.abc import Sequence
from typing import Any

from aep.mapping.adobe_patch import differences
from aep.mapping.entries import EntriesError
from aep.mapping.json_patch import compile_patch
from pipelines.cli.import_connector.draft import Draft

_CONVERTER = "value.converter"
_REGISTRY = f"{_CONVERTER}.schema.registry."
_LOGIN = re.compile(r"((?:^|,)\s*https?://)[^/@,]*@", re.IGNORECASE)  # of each of the registry's addresses
# Transforms that change the topic's name, the key, the headers, the time or the schema, none of which AEP gets.
_WITHOUT_EFFECT = re.compile(
    r"(RegexRouter|TimestampRouter|ExtractTopic(\$\w+)?|SetSchemaMetadata(\$\w+)?|InsertHeader|DropHeaders|"
    r"HeaderFrom(\$\w+)?|ValueToKey|\w+\$Key)"
)
_ROUTER = re.compile(r"RegexRouter|TimestampRouter|ExtractTopic(\$\w+)?")  # of these, those that name topics anew
_ANY_TOPIC = ""  # where only a config provider knows them


def import_converters(draft: Draft) -> None:
    """Take the converters of key, value and headers: the format that values have in the topics."""
    for prefix, reason in (
        ("key.converter", "keys are taken as bytes"),
        ("header.converter", "headers are taken as bytes"),
    ):
        if draft.take_all(prefix):
            draft.note("dropped", prefix, reason)
    converter = draft.take(_CONVERTER)
    schemas = draft.take(f"{_CONVERTER}.schemas.enable")
    kind = (converter or "").rpartition(".")[2]
    if kind == "AvroConverter":
        _avro(draft)
    elif kind == "JsonConverter" and (schemas or "true").lower() != "false":  # true is the converter's default
        draft.patches[None] = [{"op": "move", "from": "/payload", "path": ""}]
        draft.note(
            "better",
            f"{_CONVERTER}.schemas.enable",
            'values are {"schema", "payload"}: a JSON Patch puts the payload in the value\'s place. A payload that is '
            "text is dead-lettered; the connector failed on the others, unless their schema was null.",
        )
    elif converter is None:
        text = "is not given, so Connect's workers decide: JSON without schemas is assumed; give --worker FILE to know"
        draft.note("to do", _CONVERTER, text)
    elif kind not in ("JsonConverter", "StringConverter", "ByteArrayConverter"):
        text = f"{kind}: values must be JSON, or Avro with AvroConverter: there is no equivalent"
        draft.note("to do", _CONVERTER, text)
    for name in draft.take_all(f"{_CONVERTER}."):
        draft.note("dropped", f"{_CONVERTER}.{name}", "there is no equivalent")


def _avro(draft: Draft) -> None:
    draft.set("kafka_format", "avro", _CONVERTER)
    draft.note(
        "better",
        _CONVERTER,
        "records in Avro are posted as JSON objects; the connector took only text in Avro, which is dead-lettered here",
    )
    if draft.is_provided(f"{_REGISTRY}url") or f"{_REGISTRY}url" not in draft.left:
        draft.missing["kafka_schema_registry_url"] = "http://HOST:8081"
    config = {}
    if url := draft.take(f"{_REGISTRY}url"):
        address = _LOGIN.sub(r"\1", url)
        draft.set("kafka_schema_registry_url", address, f"{_REGISTRY}url")
        if address != url:
            name = f"{_REGISTRY}url (USER:PASSWORD in it)"
            config["basic.auth.user.info"] = draft.secret(name, "", "SCHEMA_REGISTRY_USER_INFO")
    # The client's own properties may stand behind the converter's prefix, with `schema.registry.` or without.
    for prefix in (_REGISTRY, f"{_CONVERTER}."):
        source = (draft.take(f"{prefix}basic.auth.credentials.source") or "USER_INFO").upper()
        if source not in ("USER_INFO", "URL"):
            text = f"{source}: give the credentials in kafka_schema_registry_config: basic.auth.user.info"
            draft.note("to do", f"{prefix}basic.auth.credentials.source", text)
        if user := draft.take_secret(f"{prefix}basic.auth.user.info", "SCHEMA_REGISTRY_USER_INFO"):
            config["basic.auth.user.info"] = user
        for name in draft.take_all(f"{prefix}bearer.auth."):
            draft.note("to do", f"{prefix}bearer.auth.{name}", "see kafka_schema_registry_config: bearer.auth.*")
        for name in draft.take_all(f"{prefix}ssl."):
            text = "give PEM files in kafka_schema_registry_config: ssl.ca.location, ssl.certificate.location, ..."
            draft.note("to do", f"{prefix}ssl.{name}", text)
    if config:
        draft.set("kafka_schema_registry_config", config, f"{_REGISTRY}*")


def import_transforms(draft: Draft, topics: Sequence[str]) -> None:
    """Take the transforms: a JsonPatchTransform becomes a JSON Patch, of all topics or, by its predicate, of some."""
    unwrap = draft.patches.pop(None, [])
    topics = topics or [_ANY_TOPIC]
    by_topic = {topic: list(unwrap) for topic in topics}
    router = None
    for name in _names(draft.take("transforms")):
        prefix = f"transforms.{name}."
        kind = (draft.take(f"{prefix}type") or "").rpartition(".")[2]
        if kind == "JsonPatchTransform":
            operations = _operations(draft, f"{prefix}operations")
            for topic in _topics_of(draft, prefix, topics, router):
                by_topic[topic] += operations
        elif not kind:
            draft.problems.append(f"{prefix}type: missing: {name} is in transforms")
        elif kind == "HeaderFrom$Value" and (draft.left.get(f"{prefix}operation") or "").strip().lower() != "copy":
            fields = draft.left.get(f"{prefix}fields", "")
            text = f"{kind}: takes fields out of the value ({fields}): do the same by map_file"
            draft.note("to do", f"{prefix}type", text)
        elif _WITHOUT_EFFECT.fullmatch(kind):
            if _ROUTER.fullmatch(kind):
                router = router or kind
            draft.note("dropped", f"{prefix}type", f"{kind}: changes nothing of what AEP gets")
        else:
            text = f"{kind}: has no equivalent, and changes what AEP gets: do the same by map_file, or before Kafka"
            draft.note("to do", f"{prefix}type", text)
        draft.take_all(prefix)
    draft.take("predicates")
    draft.take_all("predicates.")
    patches = list(by_topic.values())
    if any(patch != patches[0] for patch in patches):
        draft.patches.update(by_topic)
    elif patches and patches[0]:
        draft.patches = {None: patches[0]}


def _names(value: str | None) -> list[str]:
    return [name.strip() for name in (value or "").split(",") if name.strip()]


def _operations(draft: Draft, key: str) -> list[Any]:
    provided = draft.is_provided(key)
    text = draft.take(key)
    if text is None:
        if not provided:
            draft.problems.append(f"{key}: missing: JsonPatchTransform needs it")
        return []
    try:
        operations = json.loads(text)
        if not isinstance(operations, list):
            raise EntriesError({"": "must be a list of operations (RFC 6902)"})
        compile_patch(operations, "adobe")
    except json.JSONDecodeError as error:
        draft.problems.append(f"{key}: is not JSON: {error.msg} (line {error.lineno}, column {error.colno})")
        return []
    except EntriesError as error:
        draft.problems += [f"{key}: {problem}" for problem in error.entries.values()]
        return []
    draft.note(
        "changed",
        key,
        "a record to which the patch does not apply is dead-lettered (stage map); the connector logged an error and "
        "posted it as it was",
    )
    draft.set("map_patch_dialect", "adobe", key)
    if found := differences(operations):
        text = f"applied as the connector does (map_patch_dialect: adobe), not as RFC 6902 says: {'; '.join(found)}"
        if "sets null" in text:
            text += "; a schema refuses null, unless xdm_nulls: prune takes it out"
        draft.note("better", key, text)
    return operations


def _topics_of(draft: Draft, prefix: str, topics: Sequence[str], router: str | None) -> Sequence[str]:
    """Return the topics whose records a transform changes, by its predicate; it sees the names that a router gave."""
    name = draft.take(f"{prefix}predicate")
    negate = (draft.take(f"{prefix}negate") or "false").lower() == "true"
    if name is None:
        return topics
    kind = draft.left.get(f"predicates.{name}.type", "").rpartition(".")[2]
    pattern = draft.left.get(f"predicates.{name}.pattern", "")
    if kind == "RecordIsTombstone":  # which the transform leaves alone
        return topics if negate else []
    known = router is None and not any(topic.startswith("^") or topic == _ANY_TOPIC for topic in topics)
    if kind == "TopicNameMatches" and known:
        try:
            return [topic for topic in topics if (re.fullmatch(pattern, topic) is not None) != negate]
        except re.error as error:
            draft.problems.append(f"predicates.{name}.pattern: not a valid regular expression: {error}")
            return []
    after = f" after {router}" if router and kind == "TopicNameMatches" else ""
    text = (
        f"{kind or name}{after}: has no equivalent here, so the patch is applied to every record: see `when` of a route"
    )
    draft.note("to do", f"{prefix}predicate", text)
    return topics
