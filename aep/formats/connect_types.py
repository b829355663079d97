"""Types that Kafka Connect and Debezium name in an Avro schema's `connect.name`, and not by Avro's `logicalType`.

Connect's AvroConverter writes `connect.name` beside the type of a value that has a name of its own; Debezium's times
have no other mark (Debezium, Temporal values: each connector's page; Kafka Connect, org.apache.kafka.connect.data).
What is text already, as `io.debezium.time.ZonedTimestamp`, stays as it is.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

_CONNECT = "org.apache.kafka.connect.data."
_DEBEZIUM = "io.debezium.time."

# By the Avro type and the name: the logical type that says the same, Avro's or, with "debezium-", one of ours.
_LOGICAL_TYPES = {
    ("int", f"{_CONNECT}Date"): "date",
    ("int", f"{_CONNECT}Time"): "time-millis",
    ("long", f"{_CONNECT}Timestamp"): "timestamp-millis",
    ("bytes", f"{_CONNECT}Decimal"): "decimal",
    ("int", f"{_DEBEZIUM}Date"): "date",
    ("int", f"{_DEBEZIUM}Time"): "debezium-time-millis",
    ("long", f"{_DEBEZIUM}MicroTime"): "debezium-time-micros",
    ("long", f"{_DEBEZIUM}NanoTime"): "debezium-time-nanos",
    ("long", f"{_DEBEZIUM}Timestamp"): "timestamp-millis",
    ("long", f"{_DEBEZIUM}MicroTimestamp"): "timestamp-micros",
    ("long", f"{_DEBEZIUM}NanoTimestamp"): "timestamp-nanos",
    ("record", "io.debezium.data.VariableScaleDecimal"): "debezium-decimal",
}


def logical_type(kind: str, schema: Mapping[str, Any]) -> str:
    """Return the logical type of a schema of this Avro type: its own or, without one, what its `connect.name` says."""
    return schema.get("logicalType") or _LOGICAL_TYPES.get((kind, str(schema.get("connect.name"))), "")


def scale_of(schema: Mapping[str, Any]) -> Any:
    """Return the scale of a decimal, which Connect writes into `connect.parameters` too, and there as text."""
    if "scale" in schema:
        return schema["scale"]
    parameters = schema.get("connect.parameters")
    scale = parameters.get("scale", 0) if isinstance(parameters, dict) else 0
    return int(scale) if isinstance(scale, str) and scale.isascii() and scale.isdigit() else scale


def time_text(units: int, per_second: int) -> str:
    """Return a time as hours, minutes and seconds; MySQL's TIME may be negative or longer than a day."""
    seconds, part = divmod(abs(units), per_second)
    minutes, seconds = divmod(seconds, 60)
    digits = len(str(per_second)) - 1
    sign = "-" if units < 0 else ""
    return f"{sign}{minutes // 60:02}:{minutes % 60:02}:{seconds:02}.{part:0{digits}}"
