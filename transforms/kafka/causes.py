"""Explain why Kafka does not answer, or refuses: librdkafka's message, what it omits, and what to do."""

from __future__ import annotations

import re

from confluent_kafka import KafkaError

# How librdkafka begins what it says of a broker: [PROTOCOL://]HOST:PORT/ID, where ID is a number once the cluster has
# told the broker's address, and "bootstrap" before.
_BROKER = re.compile(r"(?:[a-z_]+://)?(?P<host>[^\s/]+):(?P<port>\d+)/(?P<id>\d+): (?P<what>.*)", re.DOTALL)


class Heard:
    """Remembers the errors of an `error_cb`: the calls of a client only say that they have failed."""

    def __init__(self) -> None:
        self._heard = ""

    def __call__(self, error: KafkaError) -> None:
        """Take an error; that all brokers are down adds nothing."""
        if error.code() != KafkaError._ALL_BROKERS_DOWN:
            self._heard = error.str().partition(" (after ")[0]

    def why(self, else_: KafkaError) -> str:
        """Return the last error of a broker or the connection to it; else the error of the call."""
        return cause(self._heard) or else_.str()


def cause(said: str) -> str:
    """Return librdkafka's message, and for an unreachable broker the origin of its address.

    A broker tells clients its address (`advertised.listeners`), which often is a name inside its own network only.
    """
    broker = _BROKER.fullmatch(said)
    if broker is None or not re.search("resolve|refused|timed out|unreachable|No route", broker["what"]):
        return said
    return (
        f"broker {broker['id']} gives its address as {broker['host']}:{broker['port']} (its advertised.listeners), "
        f"which cannot be reached from here: {broker['what']}"
    )


def advice(error: KafkaError, operation: str, resource: str) -> str:
    """Return advice about a missing right, or a group that cannot be joined; for the end of a message, or "".

    Args:
        error: Kafka's.
        operation: The operation that the user of `kafka_config` needs, as in Kafka's ACLs, such as READ.
        resource: The resource, such as `topic events`.
    """
    code = error.code()
    if code == KafkaError.CLUSTER_AUTHORIZATION_FAILED:
        return (
            f"; the user needs the right {operation} on {resource}, and with brokers before 2.8 IDEMPOTENT_WRITE on "
            "the cluster too: grant them, or set enable.idempotence: false in kafka_config"
        )
    if code in _NO_RIGHT:
        return f"; {needed(operation, resource)}"
    return next((what for words, what in _FATAL_ADVICE.items() if words in error.str()), "")


def needed(operation: str, resource: str) -> str:
    """Name the missing right; arguments as for `advice`."""
    return f"the user needs the right {operation} on {resource}: grant it, or check the user in kafka_config"


_NO_RIGHT = frozenset({KafkaError.TOPIC_AUTHORIZATION_FAILED, KafkaError.GROUP_AUTHORIZATION_FAILED})

# Fatal errors have one code, whatever they are about.
_FATAL_ADVICE = {
    "ConsumerGroupHeartbeat fatal error: Broker: API version not supported": "; these brokers do not have "
    "group.protocol=consumer, as Kafka 4.0 has it: take it out of kafka_config",
    "same group.instance.id": "; each process needs its own: take group.instance.id out of kafka_config",
}
