"""Types of Kafka's option values: brokers, topics, and properties of librdkafka and of the schema registry's client."""

import re
from datetime import datetime
from typing import Annotated, get_args

from pydantic import AfterValidator, Field

from aep.http import secrets
from aep.mapping.entries import EntriesError
from pipelines.options.types import SECRET, StringMap, Strings, check_url, iso_time
from transforms.kafka.client import NamedStart
from transforms.kafka.owned_properties import OWNED_PROPERTIES, property_faults
from transforms.sinks.places import topic_of

# Properties of librdkafka (and of Java clients, copied by habit) whose values are secret.
_SECRET_PROPERTY = re.compile(
    r"(password|passphrase|secret|key\.pem|jaas\.config|user\.info|(^|\.)token|credentials)$", re.IGNORECASE
)
# Of SchemaRegistryClient's properties those that a user may set; it does not know the Java client's.
_REGISTRY_PROPERTIES = (
    "basic.auth.user.info",
    "ssl.ca.location",
    "ssl.certificate.location",
    "ssl.key.location",
    "ssl.key.password",
    "timeout",
    "proxy",
)
# A key in PEM form, or an address with a password.
_SECRET_VALUE = re.compile(r"PRIVATE KEY|://[^/?#\s]*:[^/?#\s]*@")
_UNKNOWN = "0"  # for a value that is not known
_TOPIC = re.compile(r"[A-Za-z0-9._-]{1,249}")


def is_secret_property(name: str) -> bool:
    """Say whether a property of a Kafka client holds a secret."""
    return _SECRET_PROPERTY.search(name) is not None


def check_kafka_config(config: dict[str, str]) -> dict[str, str]:
    """Refuse plain secrets, properties that belong to another option, and what librdkafka does not accept."""
    references = {name for name, value in config.items() if secrets.is_reference(value)}
    problems = {
        name: f"{name} {fault}"
        for name, value in config.items()
        if name not in OWNED_PROPERTIES
        and (fault := _secret_fault(value, is_secret_property(name) or _SECRET_VALUE.search(value)))
    }
    # What a reference stands for is known on the worker only; its name is looked at here.
    shown = {name: _UNKNOWN if name in references else value for name, value in config.items() if name not in problems}
    for name, text in property_faults(shown).items():
        if name not in references or "No such configuration property" in text or name in OWNED_PROPERTIES:
            problems[name] = text
    if problems:
        raise EntriesError(problems)
    return config


def _secret_fault(value: str, is_secret: object) -> str | None:
    """Say what is wrong with a property that may be, and sometimes must be, a reference to a secret."""
    if secrets.is_reference(value):
        return None if secrets.is_well_formed(value) else f"is not a valid reference: write {secrets.FORMS}"
    return f"is a secret: give a reference, {secrets.FORMS} (the value is not shown)" if is_secret else None


def check_registry_config(config: dict[str, str]) -> dict[str, str]:
    """Refuse plain secrets, and what confluent-kafka's SchemaRegistryClient does not know or the pipeline decides."""
    problems = {}
    for name, value in config.items():
        if name not in _REGISTRY_PROPERTIES and not name.startswith("bearer.auth."):
            problems[name] = f"{name} can't be set here: use {', '.join(_REGISTRY_PROPERTIES)} or bearer.auth.*"
        elif fault := _secret_fault(value, is_secret_property(name) or "@" in value):
            problems[name] = f"{name} {fault}"
        elif name == "timeout" and not re.fullmatch(r"[0-9]+(\.[0-9]+)?", value):
            problems[name] = "timeout must be a number of seconds"
    if problems:
        raise EntriesError(problems)
    return config


def check_urls(value: str) -> str:
    """Accept one or more addresses of a schema registry, with commas between them."""
    for url in value.split(","):
        check_url(url.strip(), login="kafka_schema_registry_config: basic.auth.user.info")
    return value


def check_bootstrap_servers(value: str) -> str:
    """Accept HOST:PORT[,HOST:PORT...], each with a protocol before it if need be."""
    for number, server in enumerate(value.split(","), start=1):
        found = re.fullmatch(r"\s*([A-Z_]+://)?([^\s:/\[\]]+|\[[0-9A-Fa-f:.]+\])(:(?P<port>[0-9]{1,5}))?\s*", server)
        if found is None or not 0 < int(found["port"] or 1) <= 65_535:
            raise ValueError(f"entry {number} is not a valid broker address: give HOST:PORT[,HOST:PORT...]")
    return value


def check_topics(topics: tuple[str, ...]) -> tuple[str, ...]:
    """Accept names of topics, and regular expressions that start with ^."""
    for topic in topics:
        if topic.startswith("^"):
            try:
                re.compile(topic)
            except re.error as error:
                raise ValueError(f"{topic!r} is not a valid regular expression: {error}") from None
        elif not _TOPIC.fullmatch(topic) or topic in (".", ".."):
            raise ValueError(
                f"{topic!r} is not a valid topic name (letters, digits, '.', '_', '-'); a pattern starts with ^"
            )
    return topics


def check_topic(value: str) -> str:
    """Accept the name of one topic."""
    if value.startswith("^"):
        raise ValueError("must be the name of a topic, not a regular expression")
    check_topics((value,))
    return value


def check_start(value: str) -> str:
    """Accept the name of a place to start at, or a time with its offset from UTC."""
    read_start(value)
    return value


def read_start(value: str) -> NamedStart | datetime:
    """Read where to start.

    Raises:
        ValueError: It is neither a name nor a time with its offset.
    """
    names: tuple[NamedStart, ...] = get_args(NamedStart)
    named = next((name for name in names if name == value), None)
    if named is not None:
        return named
    try:
        return iso_time(value)
    except ValueError as error:
        raise ValueError(f"must be {', '.join(names)}, or {error}") from None


def check_place(value: str) -> str:
    """Accept where dead letters are: a path, or topic:NAME."""
    topic = topic_of(value)
    if topic is not None:
        check_topic(topic)
    return value


BootstrapServers = Annotated[str, AfterValidator(check_bootstrap_servers)]
Topics = Annotated[Strings, AfterValidator(check_topics)]
Topic = Annotated[str, AfterValidator(check_topic)]
Place = Annotated[str, AfterValidator(check_place)]
Start = Annotated[str, AfterValidator(check_start)]
RegistryUrls = Annotated[str, AfterValidator(check_urls)]
RegistryConfig = Annotated[StringMap, AfterValidator(check_registry_config), SECRET]
KafkaConfig = Annotated[StringMap, AfterValidator(check_kafka_config), SECRET]
# An hour is the most that librdkafka takes for topic.metadata.refresh.interval.ms.
DiscoverySeconds = Annotated[float, Field(gt=0, le=3600)]
