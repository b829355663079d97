"""`beam-aep provision` on files with segments and destinations, against the emulator and its Kinesis."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from aep.platform.catalog import PROFILE_TAGS
from aep.platform.destinations import actions_of, audience_names_of
from aep.provision.model import Destination, Segment
from pipelines.cli.main import main
from pipelines.cli.provision.command import SOMETHING_TO_DO
from testing.fakes.http_server import Exchange
from testing.services.emulator import CLIENT_SECRET
from testing.services.kinesis import Kinesis
from tests.aep.provisioning import exporting
from tests.emulator.destination import have_stream
from tests.pipelines.cli.provision.test_command import Sandbox, is_post

ROOT = Path(__file__).parents[4]
NAME = "Members to Kinesis"
KEY_ID, SECRET = "AKIAEXAMPLE", "wJalrXUtnFEMI/K7MDENG"


@pytest.fixture
def sandbox(kinesis: Kinesis, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Sandbox:
    for name, value in (("EMULATOR_SECRET", CLIENT_SECRET), ("STREAM_KEY_ID", KEY_ID), ("STREAM_SECRET", SECRET)):
        monkeypatch.setenv(name, value)
    have_stream(kinesis, "members", "others", region="eu-west-1")
    made = Sandbox(kinesis, tmp_path)
    made.write(exporting())
    return made


def flow_of(sandbox: Sandbox, name: str = NAME) -> dict[str, Any]:
    (flow,) = sandbox.organisation.flow_service.flows.named(name)
    return flow


def rows(text: str) -> list[list[str]]:
    """Return the rows of a plan in words."""
    return [line.split() for line in text.splitlines()]


def test_from_nothing_to_an_activated_destination_and_again(
    sandbox: Sandbox, capsys: pytest.CaptureFixture[str]
) -> None:
    assert sandbox.provision("--dry-run") == SOMETHING_TO_DO
    planned = capsys.readouterr().out
    assert [line for line in planned.splitlines() if line != line.rstrip()] == []
    for row in (
        "create segment Rich streaming",
        "create segment Acme batch",
        "create Profile connection Members to Kinesis",
        "create Profile source Members to Kinesis",
        "create Kinesis connection Members to Kinesis in eu-west-1",
        "create Kinesis target Members to Kinesis stream members",
        "create destination Members to Kinesis",
        "change destination Members to Kinesis adds audience Rich",
        "adds attribute personalEmail.address",
        "adds marketing action core/exportToThirdParty",
    ):
        assert row.split() in rows(planned), planned
    assert sandbox.provision("--yes") == 0
    said = capsys.readouterr()
    flow = flow_of(sandbox)
    assert f"created destination {NAME} ({flow['id']})" in said.out
    assert f"changed destination {NAME} ({flow['id']})" in said.out
    assert (list(audience_names_of(flow).values()), flow["state"]) == (["Rich", "Acme"], "enabled")
    assert not any(secret in text for secret in (KEY_ID, SECRET) for text in (planned, *said))
    assert sandbox.provision() == 0  # asks nothing: there is nothing to do
    assert capsys.readouterr().out.splitlines()[-1] == "no changes"


def test_changes_and_new_credentials(
    sandbox: Sandbox, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    assert sandbox.provision("--yes") == 0
    document = exporting()
    document["destinations"][0].update(stream="others", audiences=["Rich"], marketing_actions=[], enabled=False)
    sandbox.write(document)
    assert sandbox.provision("--yes") == 0
    flow = flow_of(sandbox)
    assert (list(audience_names_of(flow).values()), actions_of(flow), flow["state"]) == (["Rich"], set(), "disabled")
    (target,) = sandbox.organisation.flow_service.target_connections.named(NAME)
    assert target["params"]["stream"] == "others"

    monkeypatch.setenv("STREAM_SECRET", "another secret")
    assert sandbox.provision("--dry-run") == 0  # AEP does not show credentials
    capsys.readouterr()
    assert sandbox.provision("--yes", "--rotate-credentials") == 0
    assert f"changed Kinesis connection {NAME}" in capsys.readouterr().out
    assert sandbox.provision("--dry-run") == 0


def test_credentials_that_kinesis_knows_are_needed(
    sandbox: Sandbox, kinesis: Kinesis, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    kinesis.local("POST", "kinesis/keys", {"access_key_id": KEY_ID, "secret_access_key": SECRET})
    try:
        monkeypatch.setenv("STREAM_SECRET", "mistyped")
        assert sandbox.provision("--yes") == 2
        said = capsys.readouterr().err
        assert "Kinesis in region eu-west-1 refuses the credentials: InvalidSignatureException" in said
        assert "not done: create Kinesis connection" in said
        monkeypatch.setenv("STREAM_SECRET", SECRET)
        assert sandbox.provision("--yes") == 0
        monkeypatch.setenv("STREAM_SECRET", "mistyped again")
        assert sandbox.provision("--yes", "--rotate-credentials") == 2
        assert "InvalidSignatureException" in capsys.readouterr().err

        (connection,) = [each for each in sandbox.organisation.flow_service.connections.named(NAME) if "auth" in each]
        test = f"/data/foundation/flowservice/connections/{connection['id']}/test"
        kinesis.local("POST", "kinesis/keys", {"access_key_id": KEY_ID, "secret_access_key": "rotated"})
        assert sandbox.organisation.client.send("GET", test).body == b"false"
        monkeypatch.setenv("STREAM_SECRET", "rotated")
        assert sandbox.provision("--yes", "--rotate-credentials") == 0
        assert sandbox.organisation.client.send("GET", test).body == b"true"
    finally:
        kinesis.local("DELETE", "kinesis/keys")


@pytest.mark.parametrize(
    ("switches", "changes", "words"),
    [
        (
            {"denied_actions": ["kinesis:ListStreams"]},
            {},
            "accepts the credentials, but their user lacks the right kinesis:ListStreams: AccessDeniedException",
        ),
        ({}, {"stream": "nothing"}, "Kinesis has no stream nothing in region eu-west-1 for these credentials"),
        ({}, {"region": "eu-north-1"}, "Kinesis has no stream members in region eu-north-1 for these credentials"),
    ],
)
def test_what_is_missing_in_kinesis_is_named_and_the_next_run_goes_on(
    sandbox: Sandbox,
    kinesis: Kinesis,
    capsys: pytest.CaptureFixture[str],
    switches: dict[str, Any],
    changes: dict[str, Any],
    words: str,
) -> None:
    kinesis.switch(**switches)
    document = exporting()
    document["destinations"][0].update(changes)
    sandbox.write(document)
    assert sandbox.provision("--yes") == 2
    said = capsys.readouterr().err
    assert words in said.splitlines()[0]
    assert "stopped halfway" in said
    kinesis.clear_switches()
    sandbox.write(exporting())
    if "region" in changes:  # the connection is there, and elsewhere
        assert sandbox.provision("--yes") == 2
        assert "is in eu-north-1, and its credentials are needed to change it" in capsys.readouterr().err
    assert sandbox.provision("--yes", *(["--rotate-credentials"] if "region" in changes else [])) == 0
    assert sandbox.provision("--dry-run") == 0
    connections = sandbox.organisation.flow_service.connections.named(NAME)
    assert [each["auth"]["params"] for each in connections if "auth" in each] == [{"region": "eu-west-1"}]


@pytest.mark.parametrize("there", [False, True])
def test_a_rule_that_aep_rejects_is_told_with_its_line(
    sandbox: Sandbox, capsys: pytest.CaptureFixture[str], there: bool
) -> None:
    if there:
        assert sandbox.provision("--yes") == 0
    document = exporting()
    document["segments"][1]["rule"] = "homeAddress.country ~ 'US'"
    sandbox.write(document)
    capsys.readouterr()
    assert sandbox.provision("--yes") == 2
    said = capsys.readouterr().err.splitlines()
    (line,) = [number for number, text in enumerate(sandbox.file.read_text().splitlines(), 1) if " ~ " in text]
    assert said[0].startswith(f"error: {sandbox.file}:{line}: AEP rejects segment Acme, whose rule is here: ")
    assert " answers 400: " in said[0]
    assert "expression.value cannot be evaluated here" in said[0]
    assert not any("whose rule is here" in each for each in said[1:])


def test_a_policy_that_forbids_the_export(sandbox: Sandbox, capsys: pytest.CaptureFixture[str]) -> None:
    document = exporting()
    document["datasets"] = [{"name": "Members", "schema": "Member", "profile": True}]
    document["destinations"][0]["marketing_actions"] = []
    sandbox.write(document)
    assert sandbox.provision("--yes") == 0
    organisation = sandbox.organisation
    (dataset,) = organisation.catalog.datasets("Members")
    assert dataset.tags.keys() >= PROFILE_TAGS.keys()
    labels = f"/data/foundation/dataset/datasets/{dataset.id}/labels"
    organisation.client.json("PUT", labels, {"labels": ["C1"]})
    policy = {
        "name": "Contracts stay here",
        "status": "ENABLED",
        "marketingActionRefs": ["/dulepolicy/marketingActions/core/exportToThirdParty"],
        "deny": {"label": "C1"},
    }
    path = "/data/foundation/dulepolicy/policies/custom"
    policy_id = organisation.client.json("POST", path, policy)["id"]
    document["destinations"][0]["marketing_actions"] = ["exportToThirdParty"]
    sandbox.write(document)
    capsys.readouterr()
    assert sandbox.provision("--yes") == 2
    assert "Violations Error: The following policies are violated: Contracts stay here" in capsys.readouterr().err
    organisation.client.json("PUT", f"{path}/{policy_id}", {**policy, "status": "DISABLED"})
    assert sandbox.provision("--yes") == 0
    assert actions_of(flow_of(sandbox)) == {"core/exportToThirdParty"}


def test_an_error_reply_that_repeats_the_request(sandbox: Sandbox, capsys: pytest.CaptureFixture[str]) -> None:
    """The credentials are not shown, whatever AEP says."""

    def repeat(exchange: Exchange) -> bool:
        if not is_post(exchange, "/connections") or SECRET.encode() not in exchange.request.body:
            return False
        exchange.reply(400, exchange.request.body, Content_Type="application/json")
        return True

    with sandbox.front(repeat) as front:
        assert sandbox.provision("--yes", url=front.url) == 2
    said = capsys.readouterr()
    assert "answers 400" in said.err
    assert not any(secret in text for secret in (KEY_ID, SECRET) for text in said)


def test_pruning(sandbox: Sandbox, capsys: pytest.CaptureFixture[str]) -> None:
    assert sandbox.provision("--yes") == 0
    document = exporting()
    document["destinations"] = [{"name": NAME, "delete": True}]
    document["segments"] = [{"name": each, "delete": True} for each in ("Rich", "Acme")]
    sandbox.write(document)
    assert sandbox.provision("--yes") == 0
    assert "is marked delete: true: --prune deletes it" in capsys.readouterr().out
    assert flow_of(sandbox)
    assert sandbox.provision("--yes", "--prune") == 0
    flows = sandbox.organisation.flow_service
    assert [*flows.flows.list(), *flows.connections.list(), *flows.target_connections.list()] == []
    assert "no changes" not in capsys.readouterr().out
    assert sandbox.provision("--dry-run", "--prune") == 0


class TestBadInput:
    """What is refused before the first call that changes something, with file, line and reason."""

    def refused(self, sandbox: Sandbox, capsys: pytest.CaptureFixture[str]) -> tuple[list[str], list[str]]:
        """Return what is said, and the methods of the calls that were made."""
        with sandbox.front() as front:
            assert sandbox.provision("--yes", url=front.url) == 2
        captured = capsys.readouterr()
        assert captured.out == ""
        return captured.err.splitlines(), [each.line.split(" ")[0] for each in front.requests]

    def line_of(self, sandbox: Sandbox, text: str, after: str = "destinations:") -> str:
        lines = sandbox.file.read_text().splitlines()
        first = lines.index(after)
        return f"{sandbox.file}:{next(number for number in range(first, len(lines)) if text in lines[number]) + 1}"

    @pytest.mark.parametrize(
        ("old", "new", "words"),
        [
            ("  stream:", "  steam:", "steam: unknown key, did you mean stream?"),
            ("  stream: members", "  stream: mem bers", "'mem bers' is not the name of a stream"),
            ("  region: eu-west-1", "  region: Ireland", "'Ireland' is not the name of a region, such as eu-west-1"),
            ("  include_names: true", "  include_names: yes please", "include_names: expected true or false, got str"),
            ("  - Acme", "  - Rich", "audiences: duplicate Rich in destination Members to Kinesis"),
            ("  - personalEmail.address", "  - /personalEmail/address", "is not a dotted path"),
            ("  audiences:", "  audiences: Rich\n  unused:", "audiences: expected a list, got str Rich"),
        ],
    )
    def test_without_any_call(
        self, sandbox: Sandbox, capsys: pytest.CaptureFixture[str], old: str, new: str, words: str
    ) -> None:
        text = sandbox.file.read_text()
        head, _, tail = text.partition("destinations:\n")
        assert old in tail
        sandbox.file.write_text(f"{head}destinations:\n{tail.replace(old, new, 1)}")
        said, calls = self.refused(sandbox, capsys)
        where = [line.partition(": ")[2].partition(": ")[0] for line in said if words in line]
        lines = [int(place.rpartition(":")[2]) for place in where]
        written = sandbox.file.read_text().splitlines()
        assert any(new.splitlines()[0].strip() in written[line - 1] for line in lines), said
        assert calls == []

    @pytest.mark.parametrize("key", ["access_key_id", "secret_access_key"])
    @pytest.mark.parametrize("value", [SECRET, "env:", "env:NOT A NAME", "gcp-secret:mine", 12345678, ["AKIA"]])
    def test_a_secret_in_plain_text(
        self, sandbox: Sandbox, capsys: pytest.CaptureFixture[str], key: str, value: Any
    ) -> None:
        document = exporting()
        document["destinations"][0][key] = value
        sandbox.write(document)
        said, calls = self.refused(sandbox, capsys)
        assert said[0].startswith(f"error: {self.line_of(sandbox, f'  {key}:')}: {key}: ")
        assert not any(str(each) in said[0] for each in (SECRET, 12345678, "AKIA"))
        assert calls == []

    @pytest.mark.parametrize("key", ["stream", "region", "access_key_id", "secret_access_key"])
    def test_what_is_missing(self, sandbox: Sandbox, capsys: pytest.CaptureFixture[str], key: str) -> None:
        document = exporting()
        del document["destinations"][0][key]
        sandbox.write(document)
        said, calls = self.refused(sandbox, capsys)
        place = self.line_of(sandbox, "- name: Members to Kinesis")
        assert (said, calls) == ([f"error: {place}: destination {NAME}: {key}: missing"], [])

    def test_two_destinations_of_one_name(self, sandbox: Sandbox, capsys: pytest.CaptureFixture[str]) -> None:
        document = exporting()
        second = {**document["destinations"][0], "description": "the second", "stream": "others"}
        document["destinations"].append(second)
        sandbox.write(document)
        said, calls = self.refused(sandbox, capsys)
        line = int(self.line_of(sandbox, "the second").rpartition(":")[2]) - 1
        assert said == [f"error: {sandbox.file}:{line}: name: duplicate {NAME}: it is found again by its name"]
        assert calls == []

    @pytest.mark.parametrize("rule", [None, " "])
    def test_a_segment_without_its_rule(
        self, sandbox: Sandbox, capsys: pytest.CaptureFixture[str], rule: str | None
    ) -> None:
        document = exporting()
        document["segments"][1]["rule"] = rule
        sandbox.write(document)
        said, calls = self.refused(sandbox, capsys)
        place = self.line_of(sandbox, "name: Acme", after="segments:")
        assert said == [f"error: {place}: segment Acme: rule: missing: give one in PQL"] or "rule: expected" in said[0]
        assert calls == []

    @pytest.mark.parametrize(
        ("key", "value", "words"),
        [
            ("audiences", "Poor", "Poor: no audience has this name or id, and no segment of this file"),
            ("attributes", "person.name.nick", "attributes: person.name.nick is not a field of the union schema"),
            ("marketing_actions", "sell", "sell: no such marketing action (known: analytics, combineWithPii,"),
        ],
    )
    def test_what_aep_does_not_have(
        self, sandbox: Sandbox, capsys: pytest.CaptureFixture[str], key: str, value: str, words: str
    ) -> None:
        document = exporting()
        document["destinations"][0][key].append(value)
        sandbox.write(document)
        said, calls = self.refused(sandbox, capsys)
        (line,) = said
        assert line.startswith(f"error: {self.line_of(sandbox, f'- {value}')}: {words}")
        assert set(calls) == {"GET"}

    def test_a_secret_that_is_not_set(
        self, sandbox: Sandbox, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.delenv("STREAM_SECRET")
        with sandbox.front() as front:
            assert sandbox.provision("--yes", url=front.url) == 2
        assert "the environment variable STREAM_SECRET is not set" in capsys.readouterr().err
        assert {each.line.split(" ")[0] for each in front.requests} == {"GET"}


def test_the_sample_follows_the_loyalty_sample(
    sandbox: Sandbox, kinesis: Kinesis, capsys: pytest.CaptureFixture[str]
) -> None:
    """configs/provision-kinesis.yaml finds its attributes in the union schema that configs/provision.yaml makes."""
    have_stream(kinesis, "loyalty-profiles")
    options = sandbox.options(org_id="ACME@AdobeOrg")
    for name in ("provision.yaml", "provision-kinesis.yaml"):
        assert main(["provision", "-f", str(ROOT / "configs" / name), "--yes", *options]) == 0, capsys.readouterr()
    assert main(["provision", "-f", str(ROOT / "configs" / "provision-kinesis.yaml"), "--dry-run", *options]) == 0
    text = (ROOT / "configs" / "provision-kinesis.yaml").read_text()
    comments = "".join(line for line in text.splitlines() if line.startswith("#"))
    assert all(key in comments for key in {**Segment.model_fields, **Destination.model_fields})
