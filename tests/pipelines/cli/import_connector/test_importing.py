"""From Adobe's Kafka Connect sink to options: its documented configurations, property by property, and bad input."""

from __future__ import annotations

import json
import shlex
from pathlib import Path
from typing import Any

import pytest
from confluent_kafka import Consumer, KafkaException

from pipelines.cli.import_connector.aep import AEP_PROPERTIES
from pipelines.cli.import_connector.draft import Level
from pipelines.cli.import_connector.importing import Imported, ImportProblemError, Overrides, import_connector
from pipelines.cli.import_connector.kafka import ADOPTED, RENAMED
from pipelines.cli.import_connector.properties import ConnectorFileError, read_connector
from pipelines.cli.main import main
from pipelines.options.mapping_file import read_mapping
from pipelines.options.table import OPTIONS

JSON_CONVERTER = "org.apache.kafka.connect.json.JsonConverter"
AVRO_CONVERTER = "io.confluent.connect.avro.AvroConverter"
JSON_PATCH = "com.adobe.platform.streaming.sink.transformation.JsonPatchTransform"
FLOW_ID, DATASET_ID = "341fd4f0-cdec-4912-1ab6-fb54aeb41286", "3096fbfd5978431948af3ba3"
UPSERT = {"op": "add", "path": "/header", "value": {"operations": {"data": "merge"}}}
SECRET = "pa55-word"

# Developer Guide, Run AEP Streaming Connector: Basic. The others there add to it.
BASIC: dict[str, Any] = {
    "connector.class": "com.adobe.platform.streaming.sink.impl.AEPSinkConnector",
    "topics": "connect-test",
    "tasks.max": 1,
    "key.converter": JSON_CONVERTER,
    "key.converter.schemas.enable": "false",
    "value.converter": JSON_CONVERTER,
    "value.converter.schemas.enable": "false",
    "aep.endpoint": "https://dcs.adobedc.net/collection/INLET",
    "aep.flush.interval.seconds": 1,
    "aep.flush.bytes.kb": 4,
}
OAUTH = {
    "aep.connection.auth.enabled": True,
    "aep.connection.auth.token.type": "oauth2_access_token",
    "aep.connection.auth.endpoint": "https://ims-na1.adobelogin.com",
    "aep.connection.auth.client.id": "client-id",
    "aep.connection.auth.client.secret": SECRET,
}
ACCESS_TOKEN = OAUTH | {
    "aep.connection.auth.token.type": "access_token",
    "aep.connection.auth.client.code": f"{SECRET}-code",
}
JWT = OAUTH | {
    "aep.connection.auth.token.type": "jwt_token",
    "aep.connection.auth.imsOrg": "ORG@AdobeOrg",
    "aep.connection.auth.accountKey": "account",
    "aep.connection.auth.filePath": "/keys/private-pkcs8.key",
    "aep.connection.endpoint.headers": json.dumps({"x-adobe-flow-id": FLOW_ID, "x-adobe-dataset-id": DATASET_ID}),
}
PROXY = {
    "aep.connection.proxy.host": "proxy.example",
    "aep.connection.proxy.port": "8085",
    "aep.connection.proxy.user": "proxy-user",
    "aep.connection.proxy.password": SECRET,
}
DEAD_LETTERS = {
    "errors.tolerance": "all",
    "errors.deadletterqueue.topic.name": "error-topic",
    "errors.deadletterqueue.topic.replication.factor": 1,
    "errors.deadletterqueue.context.headers.enable": "true",
    "errors.log.enable": "true",
}
UPSERTS = {
    "transforms": "upsert",
    "transforms.upsert.type": JSON_PATCH,
    "transforms.upsert.operations": json.dumps([UPSERT]),
}
BATCHING = {"aep.flush.bytes.kb": 20}

# What each comes to beside what all have.
COMMON = {
    "kafka_topics": ["connect-test"],
    "kafka_group_id": "connect-aep-sink",
    "kafka_start": "committed",
    "kafka_reset": "earliest",
    "kafka_bootstrap_servers": "kafka:9092",
    "aep_inlet_url": "https://dcs.adobedc.net/collection/INLET",
    "aep_auth": "none",
    "batch_max_seconds": 1.0,
    "xdm_payload": "raw",
    "dead_letter_path": "dead-letters",
}
OAUTH_OPTIONS = {
    "aep_auth": "oauth",
    "aep_ims_url": "https://ims-na1.adobelogin.com",
    "aep_client_id": "client-id",
    "aep_client_secret": "env:AEP_CLIENT_SECRET",
}
HEADER_OPTIONS = {
    "aep_flow_id": FLOW_ID,
    "aep_dataset_id": DATASET_ID,
    "aep_headers": {"x-adobe-dataset-id": DATASET_ID},
}
PROXY_OPTIONS = {
    "aep_proxy": "http://proxy.example:8085",
    "aep_proxy_user": "proxy-user",
    "aep_proxy_password": "env:AEP_PROXY_PASSWORD",
}
DOCUMENTED: dict[str, tuple[dict[str, Any], dict[str, Any]]] = {
    "basic": ({}, {}),
    "oauth": (OAUTH, OAUTH_OPTIONS),
    "access_token": (ACCESS_TOKEN, OAUTH_OPTIONS),
    "jwt_token": (JWT, OAUTH_OPTIONS | HEADER_OPTIONS),
    "proxy": (PROXY, PROXY_OPTIONS),
    "dead letters": (DEAD_LETTERS, {"dead_letter_topic": "error-topic"}),
    "batching": (BATCHING, {}),
    "upserts": (UPSERTS, {"map_patch_dialect": "adobe"}),
}


def bring(
    more: dict[str, Any] | None = None, overrides: Overrides | None = None, worker: dict[str, str] | None = None
) -> Imported:
    """Return the basic configuration with more properties; None takes one out."""
    merged = {"name": "aep-sink", **BASIC, **(more or {})}
    properties = {
        name: str(value).lower() if isinstance(value, bool) else str(value)
        for name, value in merged.items()
        if value is not None
    }
    return import_connector(properties, worker, overrides or Overrides(bootstrap_servers="kafka:9092"))


def levels(imported: Imported, about: str) -> list[Level]:
    return [note.level for note in imported.notes if about in note.about]


def problems(more: dict[str, Any]) -> list[str]:
    with pytest.raises(ImportProblemError) as refused:
        bring(more)
    return refused.value.problems


def written(folder: Path, more: dict[str, Any], name: str = "connector.json") -> Path:
    path = folder / name
    path.write_text(json.dumps({"name": "aep-sink", "config": {**BASIC, **more}}))
    return path


@pytest.mark.parametrize("case", DOCUMENTED)
def test_documented_configurations_become_files_that_the_pipeline_reads(
    case: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    more, options = DOCUMENTED[case]
    source, folder = written(tmp_path, more), tmp_path / "run"
    assert main(["import-connector", str(source), "--output", str(folder)]) == 0
    said = capsys.readouterr().out
    command = shlex.split(said.splitlines()[-1])
    assert command[:2] == ["beam-aep", "run"]
    assert main(command[1:]) == 0
    shown = capsys.readouterr().out
    written_files = [path.read_text() for path in folder.iterdir()]
    assert SECRET not in said + shown + "".join(written_files)
    expected = COMMON | {"kafka_bootstrap_servers": "HOST:9092", "dead_letter_path": f"{folder}/dead-letters"} | options
    if "dead_letter_topic" in options:
        del expected["dead_letter_path"]
    if case == "upserts":
        expected["map_file"] = f"{folder}/map.yaml"
        made = read_mapping(str(folder / "map.yaml"), "rfc6902").apply({"body": {"id": 1}})  # type: ignore[call-arg]
        assert made == {"body": {"id": 1}, "header": {"operations": {"data": "merge"}}}
    given = {line.split(":")[0] for line in shown.splitlines() if line[0].isalpha() and "# default" not in line}
    assert given == set(expected)
    imported = bring(more)
    expected_options = {name: value for name, value in (COMMON | options).items() if not name.startswith("dead_letter")}
    assert {n: v for n, v in imported.options.items() if not n.startswith("dead_letter")} == expected_options


def test_every_property_of_the_connector_is_dealt_with() -> None:
    everything = dict.fromkeys(AEP_PROPERTIES, "1") | {
        "aep.endpoint": BASIC["aep.endpoint"],
        "aep.connection.endpoint.headers": "{}",
        "aep.connection.auth.enabled": "true",
        "aep.connection.auth.token.type": "jwt_token",
        "aep.connection.auth.endpoint": "https://ims.example",
    }
    imported = bring(everything)
    assert not [note for note in imported.notes if "makes no use" in note.text]
    assert set(imported.options) <= set(OPTIONS)


@pytest.mark.parametrize(
    ("given", "options", "about", "level"),
    [
        ({"tasks.max": 20}, {"aep_max_in_flight": 20}, "tasks.max", "better"),
        ({"aep.flush.interval.seconds": 5}, {"batch_max_seconds": 5.0}, "", None),
        ({"aep.flush.bytes.kb": 900}, {}, "aep.flush.bytes.kb", "better"),
        ({"aep.connection.maxRetries": 9}, {}, "aep.connection.maxRetries", "changed"),
        ({"aep.connection.retryBackoff": 9}, {}, "aep.connection.retryBackoff", "changed"),
        ({"aep.connection.timeout": 2500}, {"aep_connect_timeout_seconds": 2.5}, "", None),
        ({"aep.connection.readTimeout": 90000}, {"aep_timeout_seconds": 90.0}, "aep.connection.readTimeout", "changed"),
        ({"aep.connection.readTimeout": 0}, {}, "aep.connection.readTimeout", "changed"),
        ({"aep.connection.proxy.host": "p"}, {"aep_proxy": "http://p:443"}, "", None),
        ({"aep.connection.proxy.port": 1}, {}, "aep.connection.proxy", "dropped"),
        ({"aep.connection.auth.client.id": "id"}, {"aep_auth": "none"}, "aep.connection.auth.client.id", "dropped"),
        (
            {"aep.endpoint": "https://dcs.adobedc.net/collection/batch/A"},
            {"aep_inlet_url": "https://dcs.adobedc.net/collection/batch/A"},
            "aep.endpoint",
            "better",
        ),
        (
            {"aep.endpoint": "https://dcs.adobedc.net/collection/A?x-adobe-flow-id=F&syncValidation=false"},
            {"aep_inlet_url": "https://dcs.adobedc.net/collection/A", "aep_flow_id": "F"},
            "aep.endpoint",
            "dropped",
        ),
        ({"aep.connection.endpoint.headers": "{not json"}, {}, "endpoint.headers", "to do"),
        ({"aep.connection.endpoint.headers": '{"Authorization": "x"}'}, {}, "endpoint.headers", "to do"),
        (
            {"aep.connection.endpoint.headers": '{"x-sandbox-name": "dev"}'},
            {"aep_headers": {"x-sandbox-name": "dev"}},
            "",
            None,
        ),
        ({"errors.tolerance": "none"}, {}, "errors.tolerance", "changed"),
        ({"errors.log.enable": "true"}, {}, "errors.log.enable", "dropped"),
        ({"errors.retry.timeout": "9"}, {}, "errors.retry.timeout", "dropped"),
        ({"producer.override.acks": "1"}, {}, "producer.override.acks", "dropped"),
        ({"offset.flush.x": "1"}, {}, "offset.flush.x", "dropped"),
        (
            {"topics": None, "topics.regex": "web-.*"},
            {"kafka_topics": ["^(?:web-.*)$"]},
            "",
            None,
        ),
        ({"topics": None, "topics.regex": ".*"}, {}, "topics.regex", "changed"),
        ({"topics": "a, b"}, {"kafka_topics": ["a", "b"]}, "", None),
        ({"value.converter": None}, {}, "value.converter", "to do"),
        ({"value.converter": "org.apache.kafka.connect.storage.StringConverter"}, {}, "", None),
        ({"value.converter": "io.confluent.connect.protobuf.ProtobufConverter"}, {}, "value.converter", "to do"),
        (
            {"value.converter": AVRO_CONVERTER, "value.converter.schema.registry.url": "http://r:8081"},
            {"kafka_format": "avro", "kafka_schema_registry_url": "http://r:8081"},
            "value.converter",
            "better",
        ),
        (
            {
                "value.converter": AVRO_CONVERTER,
                "value.converter.schema.registry.url": f"http://user:{SECRET}@r:8081, https://user:{SECRET}@s",
                "value.converter.basic.auth.credentials.source": "URL",
            },
            {
                "kafka_schema_registry_url": "http://r:8081, https://s",
                "kafka_schema_registry_config": {"basic.auth.user.info": "env:SCHEMA_REGISTRY_USER_INFO"},
            },
            "value.converter",
            "better",
        ),
        (
            {
                "value.converter": AVRO_CONVERTER,
                "value.converter.schema.registry.url": "http://r:8081",
                "value.converter.basic.auth.credentials.source": "USER_INFO",
                "value.converter.basic.auth.user.info": f"user:{SECRET}",
            },
            {"kafka_schema_registry_config": {"basic.auth.user.info": "env:SCHEMA_REGISTRY_USER_INFO"}},
            "value.converter",
            "better",
        ),
        (
            {"transforms": "f", "transforms.f.type": "org.apache.kafka.connect.transforms.Flatten$Value"},
            {},
            "transforms.f.type",
            "to do",
        ),
        (
            {"transforms": "r", "transforms.r.type": "org.apache.kafka.connect.transforms.RegexRouter"},
            {},
            "transforms.r.type",
            "dropped",
        ),
        ({"consumer.override.group.id": "mine"}, {"kafka_group_id": "mine"}, "", None),
        ({"consumer.override.auto.offset.reset": "latest"}, {"kafka_reset": "latest"}, "", None),
        ({"consumer.override.auto.offset.reset": "none"}, {"kafka_reset": "error"}, "", None),
        ({"consumer.override.bootstrap.servers": "k:1"}, {"kafka_bootstrap_servers": "kafka:9092"}, "", None),
        ({"consumer.override.max.poll.records": "9"}, {}, "max.poll.records", "dropped"),
        ({"consumer.override.fetch.max.wait.ms": "9"}, {"kafka_config": {"fetch.wait.max.ms": "9"}}, "", None),
        (
            {"consumer.override.ssl.endpoint.identification.algorithm": ""},
            {"kafka_config": {"ssl.endpoint.identification.algorithm": "none"}},
            "",
            None,
        ),
        (
            {"consumer.override.ssl.truststore.location": "/x.pem", "consumer.override.ssl.truststore.type": "PEM"},
            {"kafka_config": {"ssl.ca.location": "/x.pem"}},
            "",
            None,
        ),
        (
            {
                "consumer.override.ssl.truststore.location": "/x.jks",
                "consumer.override.ssl.truststore.password": SECRET,
            },
            {},
            "ssl.truststore.location",
            "to do",
        ),
        (
            {
                "consumer.override.ssl.keystore.location": "/x.p12",
                "consumer.override.ssl.keystore.type": "PKCS12",
                "consumer.override.ssl.keystore.password": SECRET,
            },
            {
                "kafka_config": {
                    "ssl.keystore.location": "/x.p12",
                    "ssl.keystore.password": "env:KAFKA_KEYSTORE_PASSWORD",
                }
            },
            "",
            None,
        ),
        (
            {
                "consumer.override.sasl.jaas.config": "org.apache.kafka.security.scram.ScramLoginModule required\n"
                f' username="us\\"er" password="{SECRET}";'
            },
            {"kafka_config": {"sasl.username": 'us"er', "sasl.password": "env:KAFKA_PASSWORD"}},
            "",
            None,
        ),
        (
            {
                "consumer.override.sasl.jaas.config": "x.oauthbearer.OAuthBearerLoginModule required "
                f"clientId='c' clientSecret='{SECRET}' scope='s';"
            },
            {
                "kafka_config": {
                    "sasl.oauthbearer.client.id": "c",
                    "sasl.oauthbearer.client.secret": "env:KAFKA_PASSWORD",
                    "sasl.oauthbearer.method": "oidc",
                    "sasl.oauthbearer.scope": "s",
                }
            },
            "",
            None,
        ),
        (
            {
                "consumer.override.sasl.mechanism": "AWS_MSK_IAM",
                "consumer.override.sasl.jaas.config": 'x.IAMLoginModule required awsProfileName="kafka";',
                "consumer.override.group.protocol": "consumer",
            },
            {"kafka_config": {"sasl.mechanism": "AWS_MSK_IAM", "group.protocol": "consumer"}},
            "sasl.jaas.config",
            "changed",
        ),
        (
            {"consumer.override.sasl.jaas.config": "x.Krb5LoginModule required keyTab='/k';"},
            {},
            "sasl.jaas.config",
            "to do",
        ),
    ],
)
def test_property_by_property(given: dict[str, Any], options: dict[str, Any], about: str, level: Level | None) -> None:
    imported = bring(given)
    assert {name: imported.options.get(name) for name in options} == options
    if level:
        assert level in levels(imported, about)
    assert SECRET not in repr(imported)


@pytest.mark.parametrize("name", sorted({*ADOPTED, *RENAMED.values()}))
def test_properties_that_are_taken_over_are_known_to_librdkafka(name: str) -> None:
    problem = ""
    try:
        Consumer({"group.id": "g", name: "1000"})
    except KafkaException as error:  # a value that does not fit is another matter
        problem = error.args[0].str()
    assert "No such configuration property" not in problem


def test_tokens_that_adobe_has_ended_tell_what_to_do() -> None:
    for more in (ACCESS_TOKEN, JWT, {**JWT, "aep.connection.auth.token.type": None}):
        assert levels(bring(more), "token.type") == ["to do"]
    assert levels(bring(OAUTH), "token.type") == []
    # Java compares with "true" alone.
    assert bring({**OAUTH, "aep.connection.auth.enabled": "TRUE"}).options["aep_auth"] == "none"


def test_config_providers_become_references_or_things_to_do() -> None:
    def secret(value: str) -> tuple[str, list[str]]:
        imported = bring({**OAUTH, "aep.connection.auth.client.secret": value})
        return imported.options["aep_client_secret"], list(imported.variables)

    assert secret("${env:IMS_SECRET}") == ("env:IMS_SECRET", ["IMS_SECRET"])
    assert secret("${dir:/run/secrets:ims}") == ("file:/run/secrets/ims", [])
    assert secret("${file:/etc/s.properties:ims}") == ("env:AEP_CLIENT_SECRET", ["AEP_CLIENT_SECRET"])
    jaas = 'x.PlainLoginModule required username="${file:/s:user}" password="${env:PASSWORD}";'
    imported = bring({"consumer.override.sasl.jaas.config": jaas, "consumer.override.client.id": f"{SECRET}${{a:b}}"})
    assert imported.options["kafka_config"] == {"sasl.password": "env:PASSWORD"}
    assert levels(imported, "consumer.override.") == ["to do", "to do"]
    assert SECRET not in repr(imported)
    imported = bring({"aep.endpoint": "${file:/etc/s.properties:url}"})
    assert "aep_inlet_url" in imported.missing
    assert levels(imported, "aep.endpoint") == ["to do"]
    imported = bring({"topics": "${env:TOPICS}", "consumer.override.group.id": "${env:GROUP}", **UPSERTS})
    assert set(imported.missing) == {"kafka_topics", "kafka_group_id"}
    assert "kafka_group_id" not in imported.options
    assert imported.patch == [UPSERT]


def test_payloads_in_the_envelope_of_json_converter_are_unwrapped(tmp_path: Path) -> None:
    for enabled in (None, "true"):
        imported = bring({"value.converter.schemas.enable": enabled, **UPSERTS})
        assert imported.patch[1:] == [UPSERT]
        path = tmp_path / "map.json"
        path.write_text(json.dumps(imported.patch))
        patch = read_mapping(str(path), "rfc6902")
        made = patch.apply({"schema": None, "payload": {"body": {"a": 1}}})  # type: ignore[call-arg]
        assert made == {"body": {"a": 1}, "header": {"operations": {"data": "merge"}}}


def test_patches_apply_as_the_connector_applies_them_and_the_differences_are_said(tmp_path: Path) -> None:
    operations = [{"op": "remove", "path": "/debug"}, {"op": "Move", "from": "/id", "path": "body"}]
    more = {"transforms": "patch", "transforms.patch.type": JSON_PATCH}
    imported = bring({**more, "transforms.patch.operations": json.dumps(operations)})
    assert imported.options["map_patch_dialect"] == "adobe"
    (said,) = (note.text for note in imported.notes if "map_patch_dialect" in note.text)
    assert "operation 0 (remove /debug): does nothing where an object has no such field" in said
    assert "operation 1 (Move body): is taken as move, path is read as /body, sets null where" in said
    assert said.endswith("a schema refuses null, unless xdm_nulls: prune takes it out")
    path = tmp_path / "map.json"
    path.write_text(json.dumps(imported.patch))
    assert read_mapping(str(path), "adobe").apply({"a": 1}) == {"a": 1, "body": None}  # type: ignore[call-arg]
    upsert = bring(UPSERTS)
    assert upsert.options["map_patch_dialect"] == "adobe"
    assert not [note for note in upsert.notes if "map_patch_dialect" in note.text]
    assert "map_patch_dialect" not in bring().options


def test_patches_of_some_topics_become_routes(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    predicate = {
        "topics": "profiles,events,profiles-eu",
        "transforms.upsert.predicate": "p",
        "predicates": "p",
        "predicates.p.type": "org.apache.kafka.connect.transforms.predicates.TopicNameMatches",
        "predicates.p.pattern": "profiles.*",
    }
    routes = bring({**UPSERTS, **predicate}).routes
    assert [(route["topics"], route.get("map")) for route in routes] == [
        (["profiles", "profiles-eu"], [UPSERT]),
        (["events"], None),
    ]
    negated = bring({**UPSERTS, **predicate, "transforms.upsert.negate": "true"}).routes
    assert [route.get("map") for route in negated] == [None, [UPSERT]]
    source = written(tmp_path, {**UPSERTS, **predicate})
    assert main(["import-connector", str(source), "--output", str(tmp_path / "run")]) == 0
    command = shlex.split(capsys.readouterr().out.splitlines()[-1])
    assert main(command[1:]) == 0

    from tests.pipelines.to_aep import load_routes, parse

    read = load_routes(parse(command[2:]))
    assert [route.topics for route in read] == [("profiles", "profiles-eu"), ("events",)]
    assert getattr(read[0].map, "dialect", None) == "adobe"
    assert read[1].map is None


@pytest.mark.parametrize(
    ("more", "words"),
    [
        (
            {
                "transforms": "route,upsert",
                "transforms.route.type": "org.apache.kafka.connect.transforms.RegexRouter",
                "transforms.route.regex": "prod\\.(.*)",
                "transforms.route.replacement": "$1",
                "topics": "prod.profiles,prod.events",
            },
            "TopicNameMatches after RegexRouter: has no equivalent here, so the patch is applied to every record",
        ),
        ({"topics": "${file:/etc/topics:all}"}, "TopicNameMatches: has no equivalent here, so the patch is applied"),
    ],
)
def test_a_patch_of_topics_that_cannot_be_told_is_not_lost(more: dict[str, Any], words: str) -> None:
    predicate = {
        "transforms.upsert.predicate": "p",
        "predicates": "p",
        "predicates.p.type": "org.apache.kafka.connect.transforms.predicates.TopicNameMatches",
        "predicates.p.pattern": "profiles",
    }
    imported = bring({**UPSERTS, **predicate, **more})
    assert (imported.patch, imported.routes) == ([UPSERT], [])
    (note,) = [note for note in imported.notes if note.about == "transforms.upsert.predicate"]
    assert (note.level, note.text.startswith(words)) == ("to do", True)


@pytest.mark.parametrize(("operation", "level"), [("move", "to do"), ("copy", "dropped")])
def test_fields_that_become_headers_leave_the_value_only_if_they_are_moved(operation: str, level: Level) -> None:
    header_from = {
        "transforms": "h",
        "transforms.h.type": "org.apache.kafka.connect.transforms.HeaderFrom$Value",
        "transforms.h.fields": "trace,span",
        "transforms.h.headers": "t,s",
        "transforms.h.operation": operation,
    }
    (note,) = [note for note in bring(header_from).notes if note.about == "transforms.h.type"]
    assert (note.level, "(trace,span)" in note.text) == (level, operation == "move")


def test_a_dead_letter_topic_that_only_a_config_provider_knows_is_not_taken_for_none() -> None:
    imported = bring({"errors.deadletterqueue.topic.name": "${env:DLQ}"})
    assert imported.missing["dead_letter_topic"] == "TOPIC"
    assert "dead_letter_path" not in imported.options
    assert levels(imported, "errors.deadletterqueue.topic.name") == ["to do"]


def test_groups_and_offsets() -> None:
    imported = bring()
    assert levels(imported, "offsets") == ["to do", "changed"]
    apart = bring(overrides=Overrides(new_group="other"))
    assert apart.options["kafka_group_id"] == "other"
    assert levels(apart, "offsets") == ["changed"]
    for reset, words in (("earliest", "sends again all"), ("latest", "is not sent"), ("none", "give a kafka_start")):
        told = bring({"consumer.override.auto.offset.reset": reset}, Overrides(new_group="other")).notes
        assert [words in note.text for note in told if note.about == "offsets"] == [True]


def test_what_only_the_workers_know_is_taken_from_their_configuration() -> None:
    worker = {
        "bootstrap.servers": "k1:9092",
        "value.converter": "org.apache.kafka.connect.storage.StringConverter",
        "consumer.security.protocol": "SSL",
        "consumer.fetch.min.bytes": "2",
        "group.id": "connect-cluster",
        "config.storage.topic": "x",
    }
    more = {"value.converter": None, "consumer.override.fetch.min.bytes": "3"}
    imported = bring(more, Overrides(), worker)
    assert imported.options["kafka_bootstrap_servers"] == "k1:9092"
    assert imported.options["kafka_config"] == {"security.protocol": "SSL", "fetch.min.bytes": "3"}
    assert imported.options["kafka_group_id"] == "connect-aep-sink"
    assert imported.missing == {}
    assert "value.converter" not in [note.about for note in imported.notes]
    # The workers' converter is not the one that the connector's value.converter.* are for.
    worker |= {"value.converter": JSON_CONVERTER, "value.converter.schemas.enable": "true"}
    assert bring({"value.converter": None, "value.converter.schemas.enable": "false"}, worker=worker).patch


def test_a_schema_has_messages_checked() -> None:
    imported = bring(overrides=Overrides(schema_file="s.json", schema_id="https://ns.adobe.com/x"))
    wanted = {"xdm_payload": "message", "xdm_schema_file": "s.json", "xdm_schema_id": "https://ns.adobe.com/x"}
    assert {name: imported.options[name] for name in wanted} == wanted
    # The guide's messages have no datasetId of their own, which a route with one would refuse.
    assert "aep_dataset_id" not in bring(JWT, Overrides(schema_file="s.json")).options


@pytest.mark.parametrize(
    ("more", "words"),
    [
        ({"connector.class": "io.confluent.connect.http.HttpSinkConnector"}, "is not Adobe's sink"),
        ({"connector.class": None}, "connector.class: missing"),
        ({"aep.connection.maxretries": 3}, "did you mean aep.connection.maxRetries?"),
        ({"name": None}, "--name"),
        ({"topics": None}, "topics: missing"),
        ({"topics.regex": "a"}, "only one of them"),
        ({"topics": "a b"}, "topics: 'a b' is not a valid topic name"),
        ({"topics": None, "topics.regex": "("}, "topics.regex: '^(?:()$' is not a valid regular expression"),
        ({"aep.endpoint": None}, "aep.endpoint: missing"),
        ({"aep.endpoint": "dcs.adobedc.net"}, "aep.endpoint: must be an address"),
        ({"aep.endpoint": "https://dcs.adobedc.net/collection/A?x=1"}, "aep.endpoint: must not have a query"),
        ({"aep.flush.interval.seconds": "1.5"}, "aep.flush.interval.seconds: must be a whole number"),
        ({"consumer.override.auto.offset.reset": "sometime"}, "consumer.override.auto.offset.reset: expected one of"),
        ({**DEAD_LETTERS, "topics": "error-topic"}, "an endless loop"),
        ({**UPSERTS, "transforms.upsert.operations": "["}, "transforms.upsert.operations: is not JSON"),
        ({**UPSERTS, "transforms.upsert.operations": '[{"op": "put"}]'}, "operations: operation 0: op must be one of"),
        ({**UPSERTS, "transforms.upsert.operations": None}, "transforms.upsert.operations: missing"),
        ({"transforms": "gone"}, "transforms.gone.type: missing"),
        ({**OAUTH, "aep.connection.auth.token.type": "oauth"}, "token.type: must be"),
    ],
)
def test_what_cannot_be_taken_over_is_refused_with_words(more: dict[str, Any], words: str) -> None:
    found = problems(more)
    assert len(found) == 1
    assert words in found[0]


@pytest.mark.parametrize(
    ("text", "words"),
    [
        (None, "No such file"),
        ('{"name": "a", "config": {"topics": "x",}}', "connector.json:1:"),
        ("[]", "must be one connector"),
        ('{"config": 1}', "config: must be an object"),
        ('{"topics": ["a"]}', "topics: must be text"),
        ("key=\\u12", "connector.json:1: not a .properties file"),
        ("a\0b", "NUL"),
        ("just some words", "connector.class: missing"),
    ],
)
def test_files_that_are_no_configuration(
    text: str | None, words: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = tmp_path / "connector.json"
    if text is not None:
        path.write_text(text)
    assert main(["import-connector", str(path)]) == 2
    said = capsys.readouterr().err
    assert str(path) in said
    assert words in said


def test_properties_files_are_read_as_java_reads_them(tmp_path: Path) -> None:
    path = tmp_path / "connector.properties"
    path.write_bytes(
        b"# a comment\\\n! another\n\n  name = aep-sink\r\n"
        b"topics: a,\\\n    # b,\\\r\n  c\n"
        b"key\\ with\\:\\=blanks value = with \\t tab \\\\\n"
        b"snowman=\\u2603 \\uD83D\\uDE00 caf\xe9\nempty\nlast=1\nlast=2"
    )
    assert read_connector(str(path)) == {
        "name": "aep-sink",
        "topics": "a,# b,c",
        "key with:=blanks": "value = with \t tab \\",
        "snowman": "☃ 😀 café",
        "empty": "",
        "last": "2",
    }
    with pytest.raises(ConnectorFileError):
        read_connector(str(tmp_path))


def test_the_mark_that_some_editors_begin_a_file_with_is_no_part_of_it(tmp_path: Path) -> None:
    path = tmp_path / "connector.properties"
    path.write_bytes(b"\xef\xbb\xbfname=aep-sink\ntopics=a\n")
    assert read_connector(str(path)) == {"name": "aep-sink", "topics": "a"}


@pytest.mark.parametrize(
    "name", ["X-Api-Key", "apikey", "Ocp-Apim-Subscription-Key", "X-Amz-Credential", "My-Auth", "X-Signature", "passwd"]
)
def test_headers_that_may_hold_a_secret_are_not_copied(name: str) -> None:
    imported = bring({"aep.connection.endpoint.headers": json.dumps({name: SECRET, "x-sandbox-name": "dev"})})
    assert imported.options["aep_headers"] == {"x-sandbox-name": "dev"}
    assert any(note.level == "to do" and f"{name} may be a secret" in note.text for note in imported.notes)
    assert SECRET not in str(imported)


@pytest.mark.parametrize("kind", ["Bearer ", "basic ", "eyJhbGciOi"])
def test_headers_whose_value_is_a_token_are_not_copied_whatever_their_name(kind: str) -> None:
    imported = bring({"aep.connection.endpoint.headers": json.dumps({"X-Gateway": kind + SECRET, "x-team": "crm"})})
    assert imported.options["aep_headers"] == {"x-team": "crm"}
    assert any(note.level == "to do" and "X-Gateway may be a secret" in note.text for note in imported.notes)
    assert SECRET not in str(imported)


def test_json_is_read_as_connect_reads_it(tmp_path: Path) -> None:
    path = tmp_path / "c.json"
    path.write_text(json.dumps({"name": "n", "config": {"a": True, "b": 1, "c": None, "d": "x"}, "tasks": []}))
    assert read_connector(str(path)) == {"name": "n", "a": "true", "b": "1", "d": "x"}
    path.write_text('{"connector.class": "x", "a": 1.5}')
    assert read_connector(str(path)) == {"connector.class": "x", "a": "1.5"}


def test_the_command_explains_itself(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["import-connector", "--help"]) == 0
    said = capsys.readouterr().out
    assert [
        word for word in ("--output", "--worker", "--new-group", "--schema-id", "--force") if word not in said
    ] == []


def test_nothing_is_written_over_unless_told_to(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    source, folder = written(tmp_path, UPSERTS), tmp_path / "run"
    folder.mkdir()
    (folder / "map.yaml").write_text("mine")
    arguments = ["import-connector", str(source), "--output", str(folder)]
    assert main(arguments) == 2
    assert "map.yaml would be overwritten" in capsys.readouterr().err
    assert (folder / "map.yaml").read_text() == "mine"
    assert not (folder / "options.yaml").exists()
    assert main([*arguments, "--force"]) == 0
    assert (folder / "map.yaml").read_text() != "mine"
