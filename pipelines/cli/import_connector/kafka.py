"""What a connector's configuration says of Kafka: topics, group, and properties of the consumer."""

from __future__ import annotations

import re

from pipelines.cli.import_connector.draft import Draft, provided

_OVERRIDE = "consumer.override."
ADOPTED = frozenset(
    (
        "allow.auto.create.topics",
        "check.crcs",
        "client.dns.lookup",
        "client.id",
        "client.rack",
        "connections.max.idle.ms",
        "enable.metrics.push",
        "fetch.max.bytes",
        "fetch.min.bytes",
        "group.protocol",
        "group.remote.assignor",
        "heartbeat.interval.ms",
        "isolation.level",
        "max.partition.fetch.bytes",
        "max.poll.interval.ms",
        "metadata.max.age.ms",
        "reconnect.backoff.max.ms",
        "reconnect.backoff.ms",
        "retry.backoff.max.ms",
        "retry.backoff.ms",
        "sasl.kerberos.service.name",
        "sasl.mechanism",
        "security.protocol",
        "session.timeout.ms",
        "socket.connection.setup.timeout.ms",
        "sasl.oauthbearer.scope",
        "sasl.oauthbearer.token.endpoint.url",
    )
)
"""Properties of the Java consumer that librdkafka has under the same name and with the same meaning."""
RENAMED = {
    "fetch.max.wait.ms": "fetch.wait.max.ms",
    "receive.buffer.bytes": "socket.receive.buffer.bytes",
    "send.buffer.bytes": "socket.send.buffer.bytes",
    "ssl.truststore.certificates": "ssl.ca.pem",
    "ssl.keystore.certificate.chain": "ssl.certificate.pem",
}
"""Those that it has under another name."""
_NOT_NEEDED = {
    "group.instance.id": "each process is a member of its own",
    "enable.auto.commit": "offsets are committed only once their records are posted or dead-lettered",
    "key.deserializer": "keys are taken as bytes",
    "value.deserializer": "kafka_format says how values are written",
    "max.poll.records": "kafka_bundle_max_records and batch_max_messages bound what is held",
    "partition.assignment.strategy": "partitions are dealt cooperatively",
    "interceptor.classes": "there are no interceptors",
    "sasl.login.callback.handler.class": "librdkafka has no callback handlers",
    "sasl.client.callback.handler.class": "librdkafka has no callback handlers",
}
_RESETS = {"earliest": "earliest", "latest": "latest", "none": "error"}
_INTERNAL_TOPIC = "__consumer_offsets"


def import_topics(draft: Draft) -> list[str]:
    """Take the topics; a regular expression starts with ^."""
    provided_elsewhere = draft.is_provided("topics") or draft.is_provided("topics.regex")
    names, pattern = draft.take("topics"), draft.take("topics.regex")
    if provided_elsewhere:
        draft.missing["kafka_topics"] = "TOPIC"
        return []
    if names and pattern:
        draft.problems.append("topics, topics.regex: only one of them can be given")
    topics = [name.strip() for name in (names or "").split(",") if name.strip()]
    if not names and pattern:
        # Java's must match the whole name; here a pattern must match the beginning.
        topics = [f"^(?:{pattern})$"]
        try:
            if re.match(topics[0], _INTERNAL_TOPIC):
                text = "leaves out all topics whose names begin with __, not only Kafka's own: name those that you need"
                draft.note("changed", "topics.regex", text)
        except re.error:
            pass  # told with the other values that can't be used
    if topics:
        draft.set("kafka_topics", topics, "topics" if names else "topics.regex")
    else:
        draft.problems.append("topics: missing: a sink has topics or topics.regex")
    return topics


def import_group(draft: Draft, name: str, new_group: str | None) -> None:
    """Take over the connector's consumer group, with its committed offsets, or keep to another."""
    if draft.is_provided(f"{_OVERRIDE}group.id") and not new_group:
        draft.missing["kafka_group_id"] = "GROUP"  # a guess would begin from nothing
    theirs = draft.take(f"{_OVERRIDE}group.id") or f"connect-{name}"
    reset = draft.take(f"{_OVERRIDE}auto.offset.reset") or "earliest"  # Connect's default for sinks
    if "kafka_group_id" not in draft.missing:
        draft.set("kafka_group_id", new_group or theirs, f"{_OVERRIDE}group.id")
    draft.set("kafka_start", "committed", "name")
    draft.set("kafka_reset", _RESETS.get(reset, reset), f"{_OVERRIDE}auto.offset.reset")
    if new_group:
        where = {
            "latest": "at the ends of the topics, and what is there by then is not sent",
            "none": "nowhere (kafka_reset=error): give a kafka_start",
        }.get(reset, "at the beginning of the topics, and sends again all that the connector sent")
        draft.note("changed", "offsets", f"the group {new_group} has none of the connector's: it starts {where}")
        return
    draft.note(
        "to do",
        "offsets",
        f"stop the connector before the first run: PUT /connectors/{name}/stop (Kafka 3.5), or DELETE it. "
        f"The run then continues at the offsets that its group {theirs} has committed, without gaps or duplicates. "
        "A pause is not enough: its consumers stay in the group. Don't delete the group or its offsets.",
    )
    draft.note(
        "changed",
        "offsets",
        "while the connector lives, one from before Kafka 3.0 (range assignment) keeps the run out of its group: "
        "`Inconsistent group protocol`, and nothing is read; a later one shares the partitions with it. One that is "
        "killed has not committed what it sent last (offset.flush.interval.ms), and that is sent again.",
    )


def import_consumer(draft: Draft, bootstrap_servers: str | None) -> None:
    """Take the consumer's properties; producers and topics' administration have none here."""
    given = draft.take(f"{_OVERRIDE}bootstrap.servers")
    if servers := bootstrap_servers or given:
        origin = "--bootstrap-servers" if bootstrap_servers else f"{_OVERRIDE}bootstrap.servers"
        draft.set("kafka_bootstrap_servers", servers, origin)
    else:
        draft.missing["kafka_bootstrap_servers"] = "HOST:9092"
        draft.note("to do", "bootstrap.servers", "is in the configuration of Connect's workers: give --worker FILE")
    config: dict[str, str] = {}
    properties = draft.take_all(_OVERRIDE)
    _security(draft, properties, config)
    for name, value in properties.items():
        known = name in ADOPTED or name in RENAMED
        if known and (source := provided(value)):
            draft.note("to do", _OVERRIDE + name, f"comes from a config provider, {source}: put it into kafka_config")
        elif known and value:
            config[RENAMED.get(name, name)] = value
        else:
            reason = _NOT_NEEDED.get(name, "librdkafka has no property of this name: see kafka_config")
            draft.note("dropped", _OVERRIDE + name, reason)
    if "isolation.level" not in config:
        text = "records of aborted transactions are left out; the connector sent them (kafka_config: isolation.level)"
        draft.note("better", "isolation.level", text)
    if config:
        draft.set("kafka_config", config, f"{_OVERRIDE}*")
    for prefix, reason in (
        ("producer.override.", "dead letters are written with kafka_config"),
        ("admin.override.", "no topics are created"),
    ):
        for name in draft.take_all(prefix):
            draft.note("dropped", prefix + name, reason)


def _security(draft: Draft, properties: dict[str, str], config: dict[str, str]) -> None:
    if jaas := properties.pop("sasl.jaas.config", None):
        _jaas(draft, jaas, config)
    if "ssl.endpoint.identification.algorithm" in properties:
        value = properties.pop("ssl.endpoint.identification.algorithm")
        config["ssl.endpoint.identification.algorithm"] = value.lower() or "none"
    _truststore(draft, properties, config)
    _keystore(draft, properties, config)


def _jaas(draft: Draft, jaas: str, config: dict[str, str]) -> None:
    """Convert the login of Java's clients (JAAS): `MODULE required NAME="VALUE" ...;`."""
    key = f"{_OVERRIDE}sasl.jaas.config"
    module = re.split(r"[\s;]", jaas, maxsplit=1)[0].rpartition(".")[2]
    entries = {
        match[1]: re.sub(r"\\(.)", r"\1", match[2][1:-1]) if match[2][0] in "\"'" else match[2]
        for match in re.finditer(r"([\w.]+)\s*=\s*(\"(?:[^\"\\]|\\.)*\"|'[^']*'|[^\s;]+)", jaas)
    }
    if module == "IAMLoginModule":
        text = "for sasl.mechanism AWS_MSK_IAM install beam-aep[msk]; credentials are those that the AWS SDK finds"
        profile = entries.get("awsProfileName")
        draft.note("changed", key, text + (f": set AWS_PROFILE={profile}" if profile else ""))
        return
    names = {
        "PlainLoginModule": ("username", "password", "sasl.username", "sasl.password"),
        "ScramLoginModule": ("username", "password", "sasl.username", "sasl.password"),
        "OAuthBearerLoginModule": (
            "clientId",
            "clientSecret",
            "sasl.oauthbearer.client.id",
            "sasl.oauthbearer.client.secret",
        ),
    }.get(module)
    if names is None or not (names[0] in entries and names[1] in entries):
        text = "no login that can be converted (PLAIN, SCRAM, or OAUTHBEARER with a client secret): give kafka_config "
        draft.note("to do", key, text + "what librdkafka needs, such as sasl.username and sasl.password")
        return
    user, password, user_option, password_option = names
    config[user_option] = entries[user]
    config[password_option] = draft.secret(f"{key} ({password})", entries[password], "KAFKA_PASSWORD")
    if source := provided(config[user_option]):
        del config[user_option]
        draft.note("to do", key, f"put {user_option} into kafka_config: it comes from {source}")
    if module == "OAuthBearerLoginModule":
        config["sasl.oauthbearer.method"] = "oidc"
        if "scope" in entries:
            config["sasl.oauthbearer.scope"] = entries["scope"]


def _truststore(draft: Draft, properties: dict[str, str], config: dict[str, str]) -> None:
    kind = properties.pop("ssl.truststore.type", "JKS").upper()
    place = properties.pop("ssl.truststore.location", None)
    properties.pop("ssl.truststore.password", None)
    if place and kind == "PEM" and not provided(place):
        config["ssl.ca.location"] = place
    elif place:
        text = (
            f"librdkafka reads PEM: write the store's certificates as PEM (keytool -list -rfc -keystore {place}) and "
        )
        draft.note(
            "to do", f"{_OVERRIDE}ssl.truststore.location", text + "name the file in kafka_config: ssl.ca.location"
        )


def _keystore(draft: Draft, properties: dict[str, str], config: dict[str, str]) -> None:
    kind = properties.pop("ssl.keystore.type", "JKS").upper()
    place = properties.pop("ssl.keystore.location", None)
    password = properties.pop("ssl.keystore.password", None)
    key, key_password = properties.pop("ssl.keystore.key", None), properties.pop("ssl.key.password", None)
    if place and kind == "PKCS12" and not provided(place):
        config["ssl.keystore.location"] = place
        if password:
            name = f"{_OVERRIDE}ssl.keystore.password"
            config["ssl.keystore.password"] = draft.secret(name, password, "KAFKA_KEYSTORE_PASSWORD")
    elif place and kind == "PEM" and not provided(place):
        config["ssl.certificate.location"] = config["ssl.key.location"] = place
    elif place:
        text = f"librdkafka reads PKCS#12: keytool -importkeystore -srckeystore {place} -deststoretype PKCS12, and "
        text += "kafka_config: ssl.keystore.location, ssl.keystore.password"
        draft.note("to do", f"{_OVERRIDE}ssl.keystore.location", text)
    if key:
        config["ssl.key.pem"] = draft.secret(f"{_OVERRIDE}ssl.keystore.key", key, "KAFKA_KEY_PEM")
    if key_password:
        name = f"{_OVERRIDE}ssl.key.password"
        config["ssl.key.password"] = draft.secret(name, key_password, "KAFKA_KEY_PASSWORD")
