"""`check --offline` looks at everything that needs no network, opens no socket, and says what it did not look at."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

import orjson
import pytest
import yaml

from pipelines.cli.check.checks import check_run
from pipelines.cli.check.report import Findings, exit_code, verdict
from pipelines.cli.main import main
from pipelines.destinations.aep.kind import AEP
from pipelines.options.yaml_files import OptionsError
from samples.loyalty import generate
from testing.services.no_network import KILLED
from testing.services.process import PATIENCE_SECONDS
from tests.pipelines.to_aep import parse

ROOT = Path(__file__).parents[4]
SCHEMA = ROOT / "configs" / "schemas" / "loyalty-event.schema.json"

OPTIONS: dict[str, object] = {
    "kafka_bootstrap_servers": "10.255.255.1:9092",
    "kafka_topics": "loyalty-events",
    "aep_inlet_url": "https://dcs.adobedc.net/collection/INLET_ID",
    "aep_dataset_id": "D",
    "xdm_schema_file": SCHEMA,
}


def arguments(folder: Path, **more: object) -> list[str]:
    options = {**OPTIONS, "dead_letter_path": folder / "dead-letters", **more}
    return [f"--{name}={value}" for name, value in options.items() if value is not None]


def check(folder: Path, **more: object) -> Findings:
    return check_run(parse(arguments(folder, **more)), AEP, 200, offline=True)


def states(found: Findings) -> dict[str, str]:
    return {one.subject: one.state for one in found.checks}


def without_network(command: Sequence[str]) -> subprocess.CompletedProcess[str]:
    wrapped = [sys.executable, "-m", "testing.services.no_network", sys.executable, "-m", "pipelines.cli", *command]
    return subprocess.run(wrapped, cwd=ROOT, capture_output=True, text=True, timeout=PATIENCE_SECONDS)


def test_no_socket_is_opened(tmp_path: Path) -> None:
    done = without_network(["check", "--offline", *arguments(tmp_path)])
    assert (done.returncode, done.stderr) == (0, "ready: 2 ok, 2 not checked\n")
    online = without_network(["check", *arguments(tmp_path)])
    assert online.returncode == KILLED


@pytest.mark.parametrize(
    "pipeline",
    [
        ["profiles_to_kinesis", "--routes_file=configs/profiles-to-kinesis-routes.yaml"],
        ["kinesis_to_kafka", "--kinesis_stream=s", "--output_topic=o"],
    ],
)
def test_other_pipelines_open_no_socket_either(pipeline: list[str], tmp_path: Path) -> None:
    options = ["--kafka_bootstrap_servers=10.255.255.1:9092", f"--dead_letter_path={tmp_path}"]
    done = without_network(["check", "--offline", "--pipeline", *pipeline, *options])
    assert done.returncode == 0, done.stderr
    assert "not checked" in done.stderr


def test_what_needs_the_network_is_not_called_checked(tmp_path: Path) -> None:
    found = check(tmp_path, aep_flow_id="F", kafka_schema_registry_url="https://registry:8081")
    assert states(found) == {
        "default: options": "ok",
        "dead letters": "ok",
        "default: inlet, dataset, dataflow": "not checked",
        "Kafka, its topics and their records": "not checked",
        "Confluent's Schema Registry": "not checked",
    }
    assert exit_code(found.checks) == 0


def test_strict_takes_what_was_not_checked_for_an_error(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["check", "--offline", "--strict", *arguments(tmp_path)]) == 1
    assert capsys.readouterr().err == "not ready: 2 ok, 2 not checked (--strict: all must be checked)\n"
    found = check(tmp_path)
    checked = [one for one in found.checks if one.state != "not checked"]
    assert exit_code(checked, strict=True) == 0
    assert verdict(checked, strict=True) == "ready: 2 ok"


def test_secrets_are_looked_for(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "password").write_text("hush-hush\n")
    monkeypatch.setenv("CLIENT_SECRET", "hush-hush")
    found = check(
        tmp_path,
        aep_client_secret="env:CLIENT_SECRET",
        aep_token="env:NO_SUCH_VARIABLE",
        kafka_config=f"sasl.password=file:{tmp_path}/password",
        kinesis_access_key_id="gcp-secret:projects/p/secrets/s/versions/1",
    )
    assert {name: state for name, state in states(found).items() if name.startswith("secret")} == {
        "secret of aep_client_secret": "ok",
        "secret of aep_token": "wrong",
        "secret of kafka_config[sasl.password]": "ok",
        "secret of kinesis_access_key_id": "not checked",
    }
    assert all("hush" not in one.detail for one in found.checks)
    assert exit_code(found.checks) == 1


def test_secrets_and_folders_of_workers_are_theirs(tmp_path: Path) -> None:
    found = states(check(tmp_path, runner="FlinkRunner", aep_token="env:NO_SUCH_VARIABLE"))
    assert (found["secret of aep_token"], found["dead letters"]) == ("not checked", "not checked")


def test_a_sink_in_the_network_is_not_checked(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    found = check(tmp_path, dead_letter_topic="d", receipt_path=tmp_path / "file" / "receipts")
    subjects = [(one.subject, one.state) for one in found.checks if one.subject in ("dead letters", "receipts")]
    assert subjects == [("dead letters", "not checked"), ("dead letters", "ok"), ("receipts", "wrong")]


def test_files_are_sampled(tmp_path: Path) -> None:
    events = tmp_path / "events.jsonl"
    event = orjson.loads(next(iter(generate(1, kind="events"))).value)
    events.write_bytes(orjson.dumps(event) + b"\n" + orjson.dumps(event | {"eventType": 3}) + b"\n")
    files = {"kafka_source": "file", "kafka_file_pattern": events, "kafka_bootstrap_servers": None}
    found = check(tmp_path, **files)
    assert states(found)[f"file {events}"] == "warning"
    assert [letter.code for letter in found.letters] == ["type"]
    away = check(tmp_path, **{**files, "kafka_file_pattern": "gs://bucket/*.jsonl"})
    assert states(away)["files gs://bucket/*.jsonl"] == "not checked"


def test_a_schema_in_the_registry_is_not_asked_for_and_the_rest_of_its_route_is_checked(tmp_path: Path) -> None:
    (tmp_path / "map.yaml").write_text("- {op: move}\n")
    options = {"xdm_schema_file": None, "xdm_schema_id": "https://ns.adobe.com/x/schemas/1"}
    files = {"kafka_source": "file", "kafka_file_pattern": "no-such-file"}
    found = check(tmp_path, **options, **files)
    assert states(found)["default: schema"] == "not checked"
    assert states(found)["default: options"] == "ok"
    assert states(found)["files no-such-file"] == "not checked"  # records cannot be checked without the schema
    broken = check(tmp_path, **options, map_file=tmp_path / "map.yaml", map_transform="acme_not_there:f")
    assert [one.state for one in broken.checks if one.subject == "default: options"] == ["wrong"]
    assert states(check(tmp_path, **options, map_transform="acme_not_there:f"))["default: transform"] == "wrong"


# --- Credentials that others could read on the way ---

PLAIN = "http://aep.example:8080"
LOGIN = {"aep_auth": "oauth", "aep_client_id": "c", "aep_client_secret": "env:HOME"}


@pytest.mark.parametrize(
    ("more", "words"),
    [
        ({**LOGIN, "aep_ims_url": PLAIN}, "aep_ims_url (command line): would send the client secret to aep.example"),
        ({**LOGIN, "aep_platform_url": PLAIN}, "aep_platform_url (command line): would send access tokens"),
        ({**LOGIN, "aep_inlet_url": f"{PLAIN}/collection/i"}, "aep_inlet_url (command line): would send access tokens"),
        (
            {
                "kafka_schema_registry_url": "https://a,http://registry:8081",
                "kafka_schema_registry_config": "basic.auth.user.info=env:HOME",
            },
            "kafka_schema_registry_url (command line): would send the credentials of kafka_schema_registry_config to r",
        ),
    ],
)
def test_credentials_by_plain_http_are_refused(more: dict[str, object], words: str, tmp_path: Path) -> None:
    with pytest.raises(OptionsError, match="unencrypted: use https, or set aep_allow_plain_http") as refused:
        parse(arguments(tmp_path, **more))
    assert [problem[: len(words)] for problem in refused.value.problems] == [words]
    parse(arguments(tmp_path, **more, aep_allow_plain_http="true"))


@pytest.mark.parametrize("host", ["localhost", "aep.localhost", "127.0.0.1", "127.8.8.8", "[::1]"])
def test_this_machine_may_be_reached_by_plain_http(host: str, tmp_path: Path) -> None:
    url = f"http://{host}:8080"
    parse(arguments(tmp_path, **LOGIN, aep_ims_url=url, aep_platform_url=url, aep_inlet_url=f"{url}/collection/i"))


def test_nothing_secret_may_go_by_plain_http(tmp_path: Path) -> None:
    parse(
        arguments(
            tmp_path,
            aep_inlet_url=f"{PLAIN}/collection/i",
            aep_ims_url=PLAIN,
            aep_platform_url=PLAIN,
            kafka_schema_registry_url="http://registry:8081",
        )
    )


def test_a_route_that_sends_a_token_by_plain_http_is_refused_with_its_line(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    route = {"name": "r", "topics": ["t"], "inlet_url": f"{PLAIN}/collection/i", "auth": "oauth"}
    routes = {"routes": [{**route, "dataset_id": "D", "schema_file": str(SCHEMA)}]}
    file = tmp_path / "routes.yaml"
    file.write_text(yaml.safe_dump(routes, sort_keys=False))
    single = dict.fromkeys(("aep_inlet_url", "aep_dataset_id", "xdm_schema_file", "kafka_topics"))
    options = arguments(tmp_path, **{**LOGIN, **single, "aep_auth": "none", "routes_file": file})
    for command in ("run", "check"):
        assert main([command, *options]) == 2
        assert f"{file}:5: route r: inlet_url: would send access tokens to aep.example" in capsys.readouterr().err


def test_the_password_of_a_proxy_by_plain_http_is_warned_of(tmp_path: Path) -> None:
    """Proxies by https are rare, and most users could not run without."""
    proxy = {"aep_proxy": "http://proxy:3128", "aep_proxy_user": "me", "aep_proxy_password": "env:HOME"}
    found = states(check(tmp_path, **proxy))
    assert (found["proxy"], found["certificates and proxy"]) == ("warning", "ok")
