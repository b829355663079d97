"""Properties of librdkafka that the reader sets itself, and librdkafka's check of the others."""

from __future__ import annotations

import re
from collections.abc import Mapping

from confluent_kafka import Consumer, KafkaException

from transforms.kafka.auth import KafkaLoginError, check_login

_COMMITS = "offsets are committed only once their records are posted or dead-lettered"

OWNED_PROPERTIES = {
    "bootstrap.servers": "use kafka_bootstrap_servers",
    "metadata.broker.list": "use kafka_bootstrap_servers",
    "group.id": "use kafka_group_id",
    "auto.offset.reset": "use kafka_reset",
    "enable.auto.commit": _COMMITS,
    "enable.auto.offset.store": _COMMITS,
    "enable.partition.eof": "the reader itself compares positions with the end of the partition",
    "partition.assignment.strategy": "the reader takes partitions over one by one (cooperatively)",
}
"""What the reader decides, with the reason or the option to use; `kafka_config` may not."""

_NO_PROPERTY = "beam-aep.no.property"


def property_faults(config: Mapping[str, str]) -> dict[str, str]:
    """Find the properties that prevent a consumer from being created: their names, each with the reason.

    No client is made and nothing is read: librdkafka takes properties in their order and stops at the first that is
    wrong, so that one it does not know is put after each.

    Args:
        config: `kafka_config`. The reasons do not show its values.
    """
    faults = {}
    for name, value in config.items():
        if reason := OWNED_PROPERTIES.get(name):
            faults[name] = f"{name} can't be set here: {reason}"
        elif said := _refusal(name, value):
            faults[name] = f"is not accepted by librdkafka: {said}"
    try:
        check_login(config)
    except KafkaLoginError as error:
        faults.setdefault("sasl.mechanism" if "sasl.mechanism" in config else "sasl.mechanisms", str(error))
    return faults


def _refusal(name: str, value: str) -> str | None:
    try:
        Consumer({"group.id": "-", name: value, _NO_PROPERTY: ""})
    except KafkaException as error:
        said = re.sub(r'Invalid value ".*" for', "Invalid value for", error.args[0].str().strip(), flags=re.DOTALL)
    except (AttributeError, TypeError, ValueError) as error:  # of properties that confluent-kafka reads itself
        said = str(error)
    return None if _NO_PROPERTY in said else said
