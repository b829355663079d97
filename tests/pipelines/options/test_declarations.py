"""Every option is declared well, refuses what it must, and is known to Beam."""

import json
import logging
import pickle
import re
from datetime import datetime, timezone
from typing import Any

import pytest
from apache_beam.options.pipeline_options import PipelineOptions
from pydantic import ValidationError

from pipelines.destinations.aep.keys import AepRouteKeys
from pipelines.options.beam import BeamAepOptions, beam_flags, known_beam_options, own_flag
from pipelines.options.declarations import GROUPS
from pipelines.options.help import help_text
from pipelines.options.kafka import KafkaOptions
from pipelines.options.kafka_types import is_secret_property
from pipelines.options.route_keys import describe_keys
from pipelines.options.table import OPTIONS, Option, explain
from transforms.kafka.owned_properties import OWNED_PROPERTIES
from transforms.records.dead_letter_codes import CODES

NAMES = """
kafka_source kafka_bootstrap_servers kafka_topics kafka_group_id kafka_start kafka_stop_at kafka_config
aep_inlet_url aep_org_id aep_dataset_id aep_flow_id aep_auth aep_ims_url aep_client_id aep_client_secret
aep_scopes aep_max_in_flight aep_headers aep_timeout_seconds aep_retry_budget_seconds xdm_schema_file
xdm_schema_id xdm_payload batch_mode batch_max_messages batch_max_bytes batch_max_seconds dead_letter_path
dead_letter_topic routes_file options_file summary_file
"""

# option, a value that is refused, what the refusal says
REFUSED: list[tuple[str, Any, str]] = [
    ("kafka_source", "kafka", "expected one of native, file, got str kafka"),
    ("kafka_bootstrap_servers", "a b:9092", "entry 1 is not a valid broker address"),
    ("kafka_bootstrap_servers", "a:9092,b:99999", "entry 2 is not a valid broker address"),
    ("kafka_bootstrap_servers", "a:0", "entry 1 is not a valid broker address"),
    ("kafka_bootstrap_servers", "a:\u0669\u0660", "entry 1 is not a valid broker address"),
    ("kafka_bootstrap_servers", "a:9092,", "entry 2 is not a valid broker address"),
    ("kafka_topics", ["a/b"], "'a/b' is not a valid topic name"),
    ("kafka_topics", ["a" * 250], "is not a valid topic name"),
    ("kafka_topics", [".."], "is not a valid topic name"),
    ("kafka_topics", ["^("], "'^(' is not a valid regular expression"),
    ("kafka_topics", [1], "expected list of str, got int 1 in entry 1"),
    ("kafka_topics", None, "expected list of str, got null"),
    ("kafka_group_id", " ", "is empty"),
    ("kafka_group_id", None, "expected str, got null"),
    ("kafka_start", "yesterday", "must be committed, earliest, latest, or an ISO 8601 time"),
    ("kafka_start", "2026-01-31T08:00:00", "with its offset"),
    ("kafka_stop_after_seconds", 0, "must be greater than 0, got"),
    ("kafka_bundle_max_records", 0, "must be greater than 0, got int 0"),
    ("kafka_bundle_max_records", 1.5, "expected int, got float 1.5"),
    ("kafka_bundle_max_records", True, "expected int, got bool true"),
    ("kafka_bundle_max_seconds", float("inf"), "must be a finite number"),
    ("kafka_config", {"bootstrap.servers": "a"}, "bootstrap.servers can't be set here: use kafka_bootstrap_servers"),
    ("kafka_config", {"group.id": "a"}, "use kafka_group_id"),
    ("kafka_config", {"enable.auto.commit": "true"}, "enable.auto.commit can't be set here"),
    ("kafka_config", {"metadata.broker.list": "a"}, "use kafka_bootstrap_servers"),
    ("kafka_config", {"enable.partition.eof": "false"}, "can't be set here: the reader itself compares positions"),
    ("kafka_config", {"partition.assignment.strategy": "range"}, "partition.assignment.strategy can't be set here"),
    ("kafka_config", {"fetch.min.byte": "1"}, 'No such configuration property: "fetch.min.byte"'),
    ("kafka_config", {"fetch.min.bytes": "many"}, 'Invalid value for configuration property "fetch.min.bytes"'),
    ("kafka_config", {"security.protocol": "SSL_SASL"}, 'Invalid value for configuration property "security.protocol"'),
    ("kafka_config", {"statistics.interval.ms": "-1"}, "is outside allowed range"),
    ("kafka_config", {"error_cb": "log"}, "expected error_cb property as a callable function"),
    ("kafka_config", {"sasl.pasword": "env:A"}, 'No such configuration property: "sasl.pasword"'),
    (
        "kafka_config",
        {"security.protocol": "SASL_SSL", "sasl.mechanism": "OAUTHBEARER"},
        "sasl.mechanism OAUTHBEARER has no way to get tokens",
    ),
    ("kafka_config", {"ssl.ca.location": "file:"}, "ssl.ca.location is not a valid reference: write env:NAME, file:"),
    ("kafka_config", {"client.id": "env:MY-ID"}, "client.id is not a valid reference"),
    ("kafka_schema_registry_config", {"ssl.ca.location": "env:"}, "ssl.ca.location is not a valid reference"),
    ("dead_letter_path", "topic:dead", "must be a folder: a topic has an option of its own, which ends in _topic"),
    (
        "replay_stages",
        ["parse", "valid"],
        "expected one of parse, map, transform, validate, post, ingest, shape, TASK_PUT",
    ),
    ("replay_stages", ["parse", "valid"], "got str valid in entry 2"),
    ("replay_stages", [1], "got int 1 in entry 1"),
    ("kafka_discovery_seconds", 3601, "must be less than or equal to 3600"),
    ("aep_headers", {"x-a": " b"}, "the value of x-a starts with a blank"),
    ("aep_headers", {"x-a": "\u20ac"}, "the value of x-a has a character beyond Latin-1"),
    ("aep_flow_id", "flow\u2013id", "has a character beyond Latin-1: it is sent in an HTTP header"),
    ("aep_sandbox", "dev\n", "has a line break"),
    ("kafka_config", {"a": [1]}, "expected mapping of str, got list in a"),
    ("aep_inlet_url", "dcs.adobedc.net/collection/x", "must be an address like https://HOST/PATH"),
    ("aep_inlet_url", "ftp://h/collection/x", "must be an address like"),
    ("aep_inlet_url", "https://h:port/collection/x", "must be an address like"),
    ("aep_inlet_url", "https://h/x", "must be the inletUrl of a streaming connection"),
    ("aep_inlet_url", "https://h/collection/x?syncValidation=true", "must not have a query"),
    ("aep_client_id", "", "is empty"),
    ("dead_letter_topic", "", "is empty (an unset variable?): give a value, or null for none"),
    ("kafka_bootstrap_servers", "", "is empty (an unset variable?): give a value, or null for none"),
    ("kafka_topics", ["a", ""], "is empty"),
    ("aep_inlet_url", "", "is empty"),
    ("aep_headers", {"a b": "c"}, "'a b' is not a valid HTTP header name"),
    ("aep_headers", {"x-a": "b\r\nc: d"}, "the value of x-a has a line break"),
    (
        "aep_headers",
        {"x-a": "env:TOKEN"},
        "the value of x-a looks like a reference to a secret, and would be sent as it",
    ),
    ("aep_headers", {"Content-Type": "text/plain"}, "Content-Type is set by the client itself"),
    ("aep_headers", {"Proxy-Authorization": "Basic a"}, "use aep_proxy_user and aep_proxy_password"),
    ("aep_proxy", "proxy:3128", "must be http://HOST:PORT, or https://HOST:PORT"),
    ("aep_proxy", "socks5://proxy:1080", "must be http://HOST:PORT"),
    ("aep_proxy", "http://proxy:port", "must be http://HOST:PORT"),
    ("aep_proxy", "http://proxy:3128/path", "must be http://HOST:PORT"),
    ("aep_proxy", "http://proxy:3128?a=b", "must be http://HOST:PORT"),
    ("aep_proxy", "http://me@proxy:3128", "use aep_proxy_user and aep_proxy_password"),
    ("kinesis_endpoint", "kinesis:4567", "must be an address like https://HOST/PATH"),
    ("kinesis_endpoint", "http://key@kinesis:4567", "use kinesis_access_key_id"),
    ("kinesis_stream", "a/b", "is not a valid stream name or ARN"),
    ("kinesis_stream", "arn:aws:kinesis:us-east-1:1234:stream/a", "ARN: arn:aws:kinesis:REGION:ACCOUNT:stream/NAME"),
    ("kinesis_stream", "arn:aws:firehose:us-east-1:123456789012:stream/a", "is not a valid stream name or ARN"),
    ("kinesis_stream", "arn:aws:kinesis:us-east-1:123456789012:stream/a/consumer/b:1", "is not a valid stream name"),
    ("kinesis_partition_key", "ecid", "must be identity, kafka_key, random, or a JSON pointer to a field"),
    ("kinesis_max_record_bytes", 10_485_761, "must be at most 10485760"),
    ("kinesis_role_arn", "writer", "must be the ARN of a role: arn:aws:iam::ACCOUNT:role/NAME"),
    ("kinesis_role_arn", "arn:aws:iam::123456789012:user/writer", "must be the ARN of a role"),
    ("kinesis_proxy", "http://me@proxy:3128", "a proxy with a password is not supported here"),
    ("kinesis_timeout_seconds", 0, "must be greater than 0"),
    ("aep_proxy_user", "me:too", "must not have a colon"),
    ("aep_proxy_user", "me\n", "or a control character"),
    ("aep_ca_file", " ", "is empty"),
    ("aep_read_timeout_seconds", 0, "must be greater than 0"),
    ("aep_gzip", "yes", "expected bool, got str 'yes'"),
    ("aep_retry_statuses", [200], "200 is not an HTTP status of an error"),
    ("aep_retry_statuses", [401], "401 can't be retried as it is: the token is refreshed once"),
    ("aep_retry_statuses", [413], "413 can't be retried as it is: the batch is halved"),
    ("aep_retry_statuses", ["500"], "expected list of int, got str '500' in entry 1"),
    ("xdm_integer_ranges", "yes", "expected bool, got str 'yes'"),
    ("xdm_primary_identity", ["_acme/id"], "'_acme/id' is not a JSON pointer"),
    ("xdm_primary_identity", ["/a~2"], "is not a JSON pointer"),
    ("batch_max_bytes", 0, "must be greater than 0, got int 0"),
    ("batch_max_messages", -1, "must be greater than 0, got int -1"),
    ("dead_letter_topic", "^dead", "must be the name of a topic"),
]
SECRETS: list[tuple[str, Any]] = [
    ("aep_client_secret", "hunter2"),
    ("aep_client_secret", ["hunter2"]),
    ("aep_client_secret", "env:hunter-2"),
    ("aep_client_secret", "gcp-secret:hunter2"),
    ("aep_client_secret", "gcp-secret:projects/p/locations/evil.test/secrets/s/versions/1"),
    ("aep_token", "eyJhbGciOi.hunter2"),
    ("aep_proxy", "http://me:hunter2@proxy:3128"),
    ("aep_proxy", ["http://me:hunter2@proxy:3128"]),
    ("aep_proxy_password", "hunter2"),
    ("kinesis_access_key_id", "hunter2"),
    ("kinesis_secret_access_key", "hunter2"),
    ("kinesis_proxy", "http://me:hunter2@proxy:3128"),
    ("aep_client_key_password", "hunter2"),
    ("aep_headers", {"Authorization": "Bearer hunter2"}),
    ("aep_headers", {"x-a": ["hunter2"]}),
    ("aep_inlet_url", "https://me:hunter2@h/collection/x"),
    ("kafka_bootstrap_servers", "SASL_SSL://me:hunter2@h:9092"),
    ("kafka_config", {"sasl.password": "hunter2"}),
    ("kafka_config", {"sasl.oauthbearer.token.endpoint.url": "https://me:hunter2@idp/token"}),
    ("kafka_config", {"security.protocol": "hunter2"}),
    ("kafka_config", {"no.such": "hunter2"}),
    ("kafka_config", {"ssl.key.password": "hunter2"}),
    ("kafka_config", {"ssl.keystore.password": "hunter2"}),
    ("kafka_config", {"ssl.key.pem": "-----BEGIN hunter2"}),
    ("kafka_config", {"ssl.certificate.pem": "-----BEGIN PRIVATE KEY-----\nhunter2"}),
    ("kafka_config", {"sasl.oauthbearer.client.secret": "hunter2"}),
    ("kafka_config", {"sasl.jaas.config": 'password="hunter2"'}),
    ("kafka_config", {"sasl": {"password": "hunter2"}}),
    ("kafka_config", "sasl.password: hunter2"),
]
ACCEPTED: list[tuple[str, Any]] = [
    ("kafka_bootstrap_servers", "a"),
    ("kafka_bootstrap_servers", "a:9092, SASL_SSL://b.example:9093,[::1]:9092"),
    ("kafka_topics", ["a", "^loyalty-[a-z]{1,9}$"]),
    ("kafka_start", "2026-01-31T08:00:00Z"),
    ("kafka_bundle_max_seconds", 5),
    (
        "kafka_config",
        {"sasl.password": "env:KAFKA_PASSWORD", "fetch.min.bytes": 1, "ssl.ca.pem": "-----BEGIN CERTIFICATE"},
    ),
    ("aep_inlet_url", "https://dcs.adobedc.net/collection/batch/0a1b"),
    ("aep_client_secret", "env:AEP_CLIENT_SECRET"),
    ("aep_client_secret", "file:/run/secrets/aep"),
    ("aep_client_secret", "gcp-secret:projects/p/secrets/s/versions/latest"),
    ("aep_client_secret", "gcp-secret:projects/p/locations/europe-west3/secrets/s/versions/latest"),
    ("aep_headers", {"x-sandbox-name": "prod"}),
    ("aep_proxy", "http://proxy"),
    ("aep_proxy", "https://[::1]:3128/"),
    ("kinesis_endpoint", "http://127.0.0.1:4567"),
    ("kinesis_role_arn", "arn:aws-us-gov:iam::123456789012:role/team/writer"),
    ("kinesis_access_key_id", "env:AWS_KEY"),
    ("kinesis_stream", "arn:aws:kinesis:us-east-1:123456789012:stream/profiles"),
    ("kinesis_stream", "arn:aws-cn:kinesis:cn-north-1:123456789012:stream/a.b_c-d"),
    ("kinesis_partition_key", "/person/id"),
    ("kinesis_identities", ["ECID"]),
    ("aep_proxy_user", "CORP\\me@example.com"),
    ("aep_retry_statuses", []),
    ("xdm_primary_identity", ["/_acme/member~1id"]),
    ("batch_max_bytes", 1_000_000),
]


def put(name: str, value: Any) -> Any:
    """Validate a value of an option and give it back as the model holds it."""
    option = OPTIONS[name]
    return getattr(GROUPS[option.group][1](**{option.field: value}), option.field)


def refusal(name: str, value: Any) -> str:
    """Return the sentence with which a value of an option is refused."""
    with pytest.raises(ValidationError) as caught:
        put(name, value)
    option = OPTIONS[name]
    errors = caught.value.errors(include_url=False)
    return "; ".join(text for error in errors for _, text in explain(error, option.type, secret=option.secret))


@pytest.mark.parametrize("option", OPTIONS.values(), ids=lambda option: option.name)
def test_every_option_is_told_of(option: Option) -> None:
    assert option.help.endswith(".")
    assert option.type
    numeric = option.kind in ("int", "float") or option.type == "list of int"
    numeric &= not option.name.endswith("_port")
    assert (option.unit is not None) == numeric
    unwrapped = re.sub(r"\s*\|\s*", "|", help_text("", GROUPS))  # a line may end between two values
    assert f"  --{option.name}  ({option.type}" in unwrapped


def test_an_empty_value_says_how_to_switch_off_what_can_be() -> None:
    assert refusal("dead_letter_path", "").endswith("give a value, or null for none")
    assert refusal("kafka_group_id", "").endswith("leave the option out or give a value")


@pytest.mark.parametrize(
    "code", [*CODES, "EXEG-3064-400", "DCVS-1104-400", "org.apache.kafka.connect.errors.DataException"]
)
def test_codes_of_all_who_refuse_can_be_chosen(code: str) -> None:
    assert put("replay_codes", [code]) == (code,)


@pytest.mark.parametrize("option", OPTIONS.values(), ids=lambda option: option.name)
def test_the_default_is_valid(option: Option) -> None:
    assert put(option.name, option.default) == option.default
    if option.default is None:
        assert option.nullable


def test_names_that_others_build_on() -> None:
    assert set(NAMES.split()) <= set(OPTIONS)


def test_no_name_is_one_of_beams() -> None:
    assert set(OPTIONS).isdisjoint(known_beam_options())
    assert {f"no_{name}" for name in OPTIONS}.isdisjoint(known_beam_options())


@pytest.mark.parametrize(("name", "value", "says"), REFUSED)
def test_refused(name: str, value: Any, says: str) -> None:
    assert says in refusal(name, value)


@pytest.mark.parametrize(("name", "value"), SECRETS)
def test_plain_secrets_are_refused_and_not_shown(name: str, value: Any) -> None:
    assert "hunter" not in refusal(name, value)


@pytest.mark.parametrize(("name", "value"), ACCEPTED)
def test_accepted(name: str, value: Any) -> None:
    accepted = put(name, value)
    if isinstance(value, dict):
        assert accepted == {key: str(item) for key, item in value.items()}
    else:
        assert accepted == (tuple(value) if isinstance(value, list) else value)


@pytest.mark.parametrize(
    ("name", "secret"),
    [
        ("sasl.password", True),
        ("ssl.key.pem", True),
        ("sasl.oauthbearer.client.secret", True),
        ("sasl.oauthbearer.assertion.private.key.passphrase", True),
        ("ssl.ca.pem", False),
        ("ssl.certificate.pem", False),
        ("sasl.username", False),
        ("sasl.oauthbearer.token.endpoint.url", False),
        ("ssl.key.location", False),
    ],
)
def test_properties_that_hold_secrets(name: str, secret: bool) -> None:
    assert is_secret_property(name) is secret


def test_an_option_is_secret_by_its_type() -> None:
    assert {option.name for option in OPTIONS.values() if option.secret} == {
        "aep_client_secret",
        "aep_token",
        "aep_proxy",
        "aep_proxy_password",
        "aep_client_key_password",
        "kinesis_access_key_id",
        "kinesis_secret_access_key",
        "kinesis_proxy",
        "kafka_config",
        "kafka_schema_registry_config",
        "aep_headers",
    }
    assert {key.name for key in describe_keys(AepRouteKeys).values() if key.secret} == {"headers"}


@pytest.mark.parametrize("name", OWNED_PROPERTIES)
def test_what_the_reader_decides_is_refused_with_the_options(name: str) -> None:
    assert refusal("kafka_config", {name: "x"}) == f"{name} can't be set here: {OWNED_PROPERTIES[name]}"


def test_a_start_is_a_name_or_a_time() -> None:
    eight = datetime(2026, 1, 31, 8, tzinfo=timezone.utc)
    assert KafkaOptions(start="2026-01-31T09:00:00+01:00").start_at == eight
    assert KafkaOptions(start="2026-01-31T08:00:00Z").start_at == eight
    assert KafkaOptions().start_at == "committed"


def test_groups_are_immutable_and_pickle() -> None:
    options = KafkaOptions(topics=("a",))
    with pytest.raises(ValidationError):
        options.topics = ("b",)
    assert pickle.loads(pickle.dumps(options)) == options


def test_beam_sees_our_options_with_their_defaults() -> None:
    seen = PipelineOptions([]).view_as(BeamAepOptions)
    for option in OPTIONS.values():
        value = getattr(seen, option.name)
        assert value == (list(option.default) if isinstance(option.default, tuple) else option.default)
        json.dumps(value)


@pytest.mark.parametrize(("name", "value"), [*ACCEPTED, ("xdm_integer_ranges", False), ("kafka_group_id", "null")])
def test_beam_reads_our_flags(name: str, value: Any, caplog: pytest.LogCaptureFixture) -> None:
    value = put(name, value)
    with caplog.at_level(logging.WARNING):
        options = PipelineOptions([own_flag(OPTIONS[name], value)]).get_all_options(display_warnings=True)
    assert options[name] == (list(value) if isinstance(value, tuple) else value)
    assert "unparseable" not in caplog.text
    assert "unrecognized" not in caplog.text


@pytest.mark.parametrize(
    ("values", "flags"),
    [
        ({"streaming": True}, ["--streaming"]),
        ({"streaming": False}, []),
        ({"use_public_ips": False}, ["--no_use_public_ips"]),
        ({"no_use_public_ips": False}, ["--use_public_ips"]),
        ({"no_pipeline_type_check": False}, []),
        ({"num_workers": 3}, ["--num_workers=3"]),
        ({"experiments": ["a", "b=c"]}, ["--experiments=a", "--experiments=b=c"]),
        ({"environment_config": {"command": "/boot"}}, ['--environment_config={"command": "/boot"}']),
        ({"project": None}, []),
        ({"checkpointing_interval": 1000, "object_reuse": True}, ["--checkpointing_interval=1000", "--object_reuse"]),
        ({"object_reuse": False}, []),
        # The job server declares what is on by default as a flag that switches off ...
        ({"fail_on_checkpointing_errors": False}, ["--fail_on_checkpointing_errors"]),
        ({"fail_on_checkpointing_errors": True}, []),
        # ... but with an uber jar the text reaches Java as it is.
        (
            {"flink_submit_uber_jar": True, "fail_on_checkpointing_errors": False},
            ["--flink_submit_uber_jar", "--fail_on_checkpointing_errors=false"],
        ),
    ],
)
def test_beams_options_as_flags(values: dict[str, Any], flags: list[str]) -> None:
    assert beam_flags(values) == flags
