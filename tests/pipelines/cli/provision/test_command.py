"""`beam-aep provision`, `send` and `lookup` against an emulator: from nothing to a profile that is looked up."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import orjson
import pytest
import yaml

from aep.platform.schema_source import RegistrySchemaSource
from aep.provision.steps import Action, Step
from aep.xdm.identities import Identity
from aep.xdm.schema import parse_schema
from pipelines.cli.main import main
from pipelines.cli.provision.command import SOMETHING_TO_DO, warm_up_notice
from samples.loyalty import generate
from testing.fakes.http_server import Exchange
from testing.services.emulator import CLIENT_ID, CLIENT_SECRET, Emulator
from testing.services.process import PATIENCE_SECONDS, wait_for
from tests.aep.management import Organisation
from tests.aep.provision.test_apply import ALL, counts
from tests.aep.provisioning import carried_out, sample
from tests.pipelines.platform_front import Interception, PlatformFront
from tests.pipelines.to_aep import load_routes, parse
from transforms.sinks.files import read_files

ROOT = Path(__file__).parents[4]


class Sandbox:
    """An organisation of its own, a provision file, and the options to go with it."""

    def __init__(self, emulator: Emulator, folder: Path):
        self.emulator, self.folder = emulator, folder
        self.organisation = Organisation(emulator)
        self.file = folder / "aep.yaml"
        self.routes_file = folder / "out" / "routes.yaml"
        self.write(sample())

    def write(self, document: dict[str, Any]) -> None:
        """The provision file."""
        self.file.write_text(yaml.safe_dump(document, sort_keys=False))

    def options(self, url: str = "", org_id: str = "") -> list[str]:
        """Who calls, and where; by default the emulator itself."""
        return [
            f"--aep_platform_url={url or self.emulator.url}",
            f"--aep_ims_url={self.emulator.url}",
            f"--aep_org_id={org_id or self.organisation.id}",
            f"--aep_client_id={CLIENT_ID}",
            "--aep_client_secret=env:EMULATOR_SECRET",
            f"--routes_file={self.routes_file}",
        ]

    def provision(self, *arguments: str, url: str = "") -> int:
        """Run the command."""
        return main(["provision", "-f", str(self.file), *arguments, *self.options(url)])

    def front(self, intercept: Interception = lambda exchange: False) -> PlatformFront:
        """Return a server in front of the emulator."""
        return PlatformFront(self.emulator.url, intercept)


@pytest.fixture
def sandbox(emulator: Emulator, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Sandbox:
    monkeypatch.setenv("EMULATOR_SECRET", CLIENT_SECRET)
    return Sandbox(emulator, tmp_path)


def test_from_nothing_to_a_routes_file_and_again(sandbox: Sandbox, capsys: pytest.CaptureFixture[str]) -> None:
    assert sandbox.provision("--yes") == 0
    out = capsys.readouterr().out
    assert "created dataflow Raw members" in out
    assert f"wrote {sandbox.routes_file}" in out
    assert "minutes before you send" not in out
    assert counts(sandbox.organisation) == ALL

    settings = parse(
        [*sandbox.options(), "--kafka_bootstrap_servers=k:9092", f"--dead_letter_path={sandbox.folder / 'dl'}"]
    )
    entity, raw, older = load_routes(settings)
    assert (entity.payload, entity.auth, entity.topics) == ("entity", "oauth", ("members",))
    assert Path(entity.schema_file or "").exists()
    assert (raw.payload, raw.flow_id is not None) == ("raw", True)
    assert (older.auth, older.flow_id, older.source_name) == ("none", None, "older")

    written = sandbox.routes_file.read_bytes()
    assert sandbox.provision() == 0  # asks nothing: there is nothing to do
    out = capsys.readouterr().out
    assert out.splitlines()[-1] == "no changes"
    assert "create" not in out
    assert sandbox.routes_file.read_bytes() == written
    assert counts(sandbox.organisation) == ALL


def test_a_record_without_its_primary_identity_is_refused_on_a_route_that_was_written(sandbox: Sandbox) -> None:
    document = sample()
    document["routes"] = document["routes"][:1]
    document["connections"][0]["authentication_required"] = False
    sandbox.write(document)
    assert sandbox.provision("--yes") == 0
    (route,) = yaml.safe_load(sandbox.routes_file.read_text())["routes"]
    schema = parse_schema(Path(route["schema_file"]).read_bytes(), "")
    own = f"_{sandbox.organisation.name}"
    assert schema.identities == (
        Identity(f"/{own}/loyalty/memberId", "Loyalty", True),
        Identity("/personalEmail/address", "Email", False),
    )
    registered = RegistrySchemaSource(sandbox.organisation.registry, schema.id).current()
    assert registered.document == schema.document  # the same rules, wherever the schema comes from

    member = {"loyalty": {"memberId": "m1"}}
    records = sandbox.folder / "records.jsonl"
    records.write_bytes(
        b"\n".join(
            orjson.dumps(each)
            for each in (
                {"_id": "1", own: member},
                {"_id": "2"},
                {"_id": "3", own: {"loyalty": {"memberId": "anonymous"}}},
            )
        )
    )
    summary, letters = sandbox.folder / "summary.json", sandbox.folder / "dead-letters"
    options = [
        *sandbox.options(),
        "--kafka_source=file",
        f"--kafka_file_pattern={records}",
        f"--dead_letter_path={letters}",
        f"--summary_file={summary}",
    ]
    assert main(["run", *options]) == 0
    found = orjson.loads(summary.read_bytes())
    assert found["accepted"] == 1
    assert found["dead_lettered"] == {"primary_identity_missing": 1, "blocked_identity": 1}
    assert {(each.code, each.pointer) for each in read_files(str(letters))} == {
        ("primary_identity_missing", f"/{own}/loyalty/memberId"),
        ("blocked_identity", f"/{own}/loyalty/memberId"),
    }


def test_a_dry_run_shows_the_plan_and_changes_nothing(sandbox: Sandbox, capsys: pytest.CaptureFixture[str]) -> None:
    assert sandbox.provision("--dry-run") == SOMETHING_TO_DO
    out = capsys.readouterr().out
    # The path of the routes file may take more than a line.
    assert sum(line.startswith("create ") for line in out.splitlines()) == 15
    assert "authenticated" in out
    assert "by the older inlet API" in out
    assert counts(sandbox.organisation) == dict.fromkeys(ALL, 0)
    assert not sandbox.routes_file.exists()
    assert sandbox.provision("--yes") == 0
    assert sandbox.provision("--dry-run") == 0


def test_without_a_terminal_it_needs_to_be_told(sandbox: Sandbox, capsys: pytest.CaptureFixture[str]) -> None:
    assert sandbox.provision() == 2
    assert "use --yes" in capsys.readouterr().err
    assert counts(sandbox.organisation) == dict.fromkeys(ALL, 0)


@pytest.mark.parametrize(("typed", "code"), [(b"y\n", 0), (b"n\n", 2), (b"\x04", 2)])
def test_a_terminal_is_asked(sandbox: Sandbox, typed: bytes, code: int) -> None:
    ours, theirs = os.openpty()
    command = [sys.executable, "-m", "pipelines.cli", "provision", "-f", str(sandbox.file), *sandbox.options()]
    with subprocess.Popen(command, cwd=ROOT, stdin=theirs, stdout=subprocess.PIPE, stderr=subprocess.STDOUT) as process:
        os.write(ours, typed)
        output, _ = process.communicate(timeout=PATIENCE_SECONDS)
    os.close(ours)
    os.close(theirs)
    assert process.returncode == code
    assert b"15 to do in sandbox prod: continue?" in output
    assert (b"nothing was changed" in output) == (code != 0)
    assert counts(sandbox.organisation) == (dict.fromkeys(ALL, 0) if code else ALL)


def test_what_somebody_else_has_created_before_the_answer_is_not_created_again(
    sandbox: Sandbox, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    document = sample()
    sandbox.write({key: document[key] for key in ("field_groups", "schemas")})
    assert sandbox.provision("--yes") == 0
    sandbox.write(document)

    def meanwhile(question: str) -> bool:
        carried_out(document, sandbox.organisation)
        return True

    monkeypatch.setattr("typer.confirm", meanwhile)
    monkeypatch.setattr("sys.stdin.isatty", lambda: True, raising=False)
    assert sandbox.provision() == 2
    assert "nothing was changed: AEP has changed since this plan was made" in capsys.readouterr().err
    assert counts(sandbox.organisation) == ALL
    assert not sandbox.routes_file.exists()


def test_adobes_dataflows_need_some_minutes() -> None:
    created = [Step("dataflow", "Members", Action.CREATE)]
    assert "wait 5 minutes" in (warm_up_notice("https://platform.adobe.io", created) or "")
    assert warm_up_notice("http://127.0.0.1:8080", created) is None
    assert warm_up_notice("https://platform.adobe.io", [Step("dataset", "Members", Action.CREATE)]) is None


def test_what_is_lost_is_made_again(sandbox: Sandbox, capsys: pytest.CaptureFixture[str]) -> None:
    assert sandbox.provision("--yes") == 0
    written = sandbox.routes_file.read_bytes()
    sandbox.routes_file.unlink()
    (sandbox.routes_file.parent / "schemas" / "member.schema.json").write_text("{}")
    capsys.readouterr()
    assert sandbox.provision("--dry-run") == SOMETHING_TO_DO
    assert "2 to do" in capsys.readouterr().out
    assert sandbox.provision("--yes") == 0
    assert sandbox.routes_file.read_bytes() == written
    assert sandbox.provision("--dry-run") == 0


def test_pruning(sandbox: Sandbox, capsys: pytest.CaptureFixture[str]) -> None:
    assert sandbox.provision("--yes") == 0
    document = sample()
    document["flows"][1]["delete"] = document["connections"][1]["delete"] = True
    del document["routes"][1]
    sandbox.write(document)
    assert sandbox.provision("--yes") == 0  # the routes file changes
    assert counts(sandbox.organisation) == ALL
    assert "--prune deletes it" in capsys.readouterr().out
    assert sandbox.provision("--prune", "--yes") == 0
    assert counts(sandbox.organisation) == {**ALL, "connections": 1, "sources": 1, "targets": 1, "flows": 1}


class TestBadInput:
    """What is refused before the first call that changes something, with file, line and reason."""

    def refused(self, sandbox: Sandbox, capsys: pytest.CaptureFixture[str]) -> tuple[list[str], list[str]]:
        """Return what is said, and the calls that were made."""
        with sandbox.front() as front:
            assert sandbox.provision("--yes", url=front.url) == 2
        captured = capsys.readouterr()
        assert captured.out == ""
        return captured.err.splitlines(), [each.line for each in front.requests]

    def line_of(self, sandbox: Sandbox, text: str) -> str:
        lines = sandbox.file.read_text().splitlines()
        return f"{sandbox.file}:{next(number for number, line in enumerate(lines, 1) if text in line)}"

    @pytest.mark.parametrize(
        ("old", "new", "words"),
        [
            ("datasets:", "dataset:", "unknown key, did you mean datasets?"),
            ("connection: Stream", "connection: Steam", "no such connection is declared"),
            ("primary: true", "primry: true", "unknown key, did you mean primary?"),
            (
                "  - field: /personalEmail/address",
                "  - primary: true\n    field: /personalEmail/address",
                "one primary",
            ),
            ("    _{TENANT_ID}:", "    loyalty:", "custom fields must be under"),
        ],
    )
    def test_without_any_call(
        self, sandbox: Sandbox, capsys: pytest.CaptureFixture[str], old: str, new: str, words: str
    ) -> None:
        text = sandbox.file.read_text()
        assert old in text
        sandbox.file.write_text(text.replace(old, new, 1))
        said, calls = self.refused(sandbox, capsys)
        place = self.line_of(sandbox, new.splitlines()[0].strip())
        assert any(line.startswith(f"error: {place}: ") and words in line for line in said), said
        assert calls == []

    def test_a_changed_type(self, sandbox: Sandbox, capsys: pytest.CaptureFixture[str]) -> None:
        assert sandbox.provision("--yes") == 0
        sandbox.file.write_text(sandbox.file.read_text().replace("points: int", "points: string"))
        capsys.readouterr()
        said, calls = self.refused(sandbox, capsys)
        assert said == [
            f"error: {self.line_of(sandbox, 'points: string')}: _{sandbox.organisation.name}.loyalty.points: "
            "is of type int, and a field keeps its type: string needs another name"
        ]
        assert {call.split(" ")[0] for call in calls} == {"GET"}

    def test_another_organisation(self, sandbox: Sandbox, capsys: pytest.CaptureFixture[str]) -> None:
        sandbox.file.write_text(sandbox.file.read_text().replace("{TENANT_ID}", "elsewhere"))
        said, calls = self.refused(sandbox, capsys)
        assert said[0].startswith(
            f"error: {self.line_of(sandbox, '_elsewhere:')}: _elsewhere is not this organisation's"
        )
        assert len(calls) == 1

    def test_a_routes_file_that_is_somebody_else_s(self, sandbox: Sandbox, capsys: pytest.CaptureFixture[str]) -> None:
        sandbox.routes_file.parent.mkdir()
        sandbox.routes_file.write_text("routes: []\n")
        said, calls = self.refused(sandbox, capsys)
        assert "was not written by beam-aep provision" in said[0]
        assert calls == []

    def test_an_option(self, sandbox: Sandbox, capsys: pytest.CaptureFixture[str]) -> None:
        assert sandbox.provision("--aep_sandbx=dev") == 2
        assert "did you mean aep_sandbox?" in capsys.readouterr().err

    def test_no_file(self, sandbox: Sandbox, capsys: pytest.CaptureFixture[str]) -> None:
        sandbox.file.unlink()
        assert sandbox.provision() == 2
        assert f"error: {sandbox.file}: can't read this provision file" in capsys.readouterr().err


def is_post(exchange: Exchange, ending: str) -> bool:
    method, path, _ = exchange.request.line.split(" ")
    return method == "POST" and path.endswith(ending)


def test_a_refusal_half_way(sandbox: Sandbox, capsys: pytest.CaptureFixture[str]) -> None:
    def refuse(exchange: Exchange) -> bool:
        if not is_post(exchange, "/connections"):
            return False
        exchange.reply(403, b'{"error_code":"403027","message":"no permission here"}', Content_Type="application/json")
        return True

    with sandbox.front(refuse) as front:
        assert sandbox.provision("--yes", url=front.url) == 2
    captured = capsys.readouterr()
    assert "created dataset Members" in captured.out
    said = captured.err.splitlines()
    assert "no permission here" in said[0]
    assert said[1] == "stopped halfway: 5 done, 10 not:"
    assert said[2] == "  not done: create connection Stream"
    assert said[-1].startswith("once the reason is fixed, run the same command again")
    assert not sandbox.routes_file.exists()

    def refuse_sources(exchange: Exchange) -> bool:
        if not is_post(exchange, "/sourceConnections"):
            return False
        exchange.reply(403, b'{"error_code":"403027","message":"no permission here"}', Content_Type="application/json")
        return True

    with sandbox.front(refuse_sources) as front:
        assert sandbox.provision("--yes", "--json", url=front.url) == 2
    done = orjson.loads(capsys.readouterr().out)["done"]  # so that a program knows of what was created
    assert [each["what"] for each in done] == ["connection"] * 3

    assert sandbox.provision("--yes") == 0
    assert "created dataset" not in capsys.readouterr().out
    assert counts(sandbox.organisation) == ALL
    assert sandbox.routes_file.exists()


@pytest.mark.parametrize("how", [signal.SIGKILL, signal.SIGINT])
def test_a_process_that_is_ended_half_way(sandbox: Sandbox, how: signal.Signals) -> None:
    reached = threading.Event()

    def hang(exchange: Exchange) -> bool:
        if not is_post(exchange, "/sourceConnections"):
            return False
        reached.set()
        exchange.pause(PATIENCE_SECONDS)
        return True

    with sandbox.front(hang) as front:
        command = [sys.executable, "-m", "pipelines.cli", "provision", "-f", str(sandbox.file), "--yes"]
        with subprocess.Popen(
            [*command, *sandbox.options(front.url)],
            cwd=ROOT,
            env={**os.environ},
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        ) as process:
            wait_for(reached.is_set, PATIENCE_SECONDS, "the call that hangs")
            process.send_signal(how)
            _, err = process.communicate(timeout=PATIENCE_SECONDS)
    assert process.returncode == (130 if how == signal.SIGINT else -signal.SIGKILL)
    assert ("stopped halfway: 8 done, 7 not:" in err) == (how == signal.SIGINT)
    assert sandbox.provision("--yes") == 0
    assert counts(sandbox.organisation) == ALL


def send(sandbox: Sandbox, route: str, entity: Any, *more: str) -> int:
    file = sandbox.folder / "event.json"
    file.write_bytes(entity if isinstance(entity, bytes) else orjson.dumps(entity))
    return main(["send", "--route", route, *sandbox.options(), *more, str(file)])


def looked_up(sandbox: Sandbox, capsys: pytest.CaptureFixture[str], *arguments: str) -> dict[str, Any]:
    """Return what there is of a person, once Profile has something."""

    def ask() -> dict[str, Any]:
        capsys.readouterr()
        main(["lookup", *arguments, "--events", "--json", *sandbox.options()])
        return dict(orjson.loads(capsys.readouterr().out))

    return wait_for(
        lambda: (found := ask()) and (found["profile"] or found["events"]) and found, PATIENCE_SECONDS, "the profile"
    )


class TestSendAndLookup:
    @pytest.fixture(autouse=True)
    def _provisioned(self, sandbox: Sandbox, capsys: pytest.CaptureFixture[str]) -> None:
        assert sandbox.provision("--yes") == 0
        capsys.readouterr()

    def member(self, sandbox: Sandbox, member: str, **more: Any) -> dict[str, Any]:
        own = {f"_{sandbox.organisation.name}": {"loyalty": {"memberId": member, **more}}}
        return {**own, "personalEmail": {"address": f"{member}@b.c"}}

    @pytest.mark.parametrize("route", ["members", "older"])
    def test_a_record_is_received_and_looked_up(
        self, sandbox: Sandbox, capsys: pytest.CaptureFixture[str], route: str
    ) -> None:
        assert send(sandbox, route, self.member(sandbox, "m1", points=7)) == 0
        assert capsys.readouterr().out.startswith("received: passed validation (xactionId ")
        found = looked_up(sandbox, capsys, "--namespace", "Email", "--id", "m1@b.c")
        assert found["profile"]["entity"][f"_{sandbox.organisation.name}"]["loyalty"] == {"memberId": "m1", "points": 7}
        assert main(["lookup", "--namespace=Loyalty", "--id=m1", *sandbox.options()]) == 0
        assert '"memberId": "m1"' in capsys.readouterr().out

    def test_what_a_pipeline_would_dead_letter_is_not_sent(
        self, sandbox: Sandbox, capsys: pytest.CaptureFixture[str]
    ) -> None:
        assert send(sandbox, "members", {**self.member(sandbox, "m1", points="7"), "colour": 1}) == 1
        out = capsys.readouterr().out
        assert out.startswith("not sent: a pipeline would dead-letter this event (stage validate)\n")
        assert f"/_{sandbox.organisation.name}/loyalty/points: expected type: Integer, found: String (type)" in out
        assert "extraneous key [colour] is not permitted" in out

    def test_what_aep_refuses_and_a_pipeline_would_post_is_told(
        self, sandbox: Sandbox, capsys: pytest.CaptureFixture[str]
    ) -> None:
        event = {**self.member(sandbox, "m1"), "colour": 1}
        assert send(sandbox, "members", event, "--xdm_unknown_fields=allow") == 1
        out = capsys.readouterr().out
        assert out.startswith("refused (400): ")
        assert "extraneous key [colour] is not permitted" in out

    def test_what_a_pipeline_would_make_of_a_record_is_what_aep_gets(
        self, sandbox: Sandbox, capsys: pytest.CaptureFixture[str]
    ) -> None:
        event = {**self.member(sandbox, "m1"), "extSourceSystemAudit": None}
        assert send(sandbox, "members", event) == 1
        assert send(sandbox, "members", event, "--xdm_nulls=prune") == 0
        assert "received: passed validation" in capsys.readouterr().out
        assert send(sandbox, "raw", {"header": {"operations": {"data": "drop"}}, "body": {"id": "m1"}}) == 1
        assert "/header/operations: operations.data must be one of create, merge, delete" in capsys.readouterr().out

    def test_pretty_printed_events_and_an_array_are_sent_one_by_one(
        self, sandbox: Sandbox, capsys: pytest.CaptureFixture[str]
    ) -> None:
        good = [self.member(sandbox, name) for name in ("m1", "m2")]
        assert send(sandbox, "members", orjson.dumps(good[0], option=orjson.OPT_INDENT_2)) == 0
        assert capsys.readouterr().out.startswith("received: ")
        assert send(sandbox, "members", orjson.dumps([*good, {"header": {}, "body": {"xdmEntity": good[0]}}])) == 1
        out = capsys.readouterr().out.splitlines()
        assert [line for line in out if line.startswith("event ")] == [f"event {number} of 3" for number in (1, 2, 3)]
        assert sum(line.startswith("received: ") for line in out) == 2
        assert "hint: this is a whole message (header and body.xdmEntity): give its route `payload: message`" in out[-1]

    def test_names_in_another_spelling_are_recognised(
        self, sandbox: Sandbox, capsys: pytest.CaptureFixture[str]
    ) -> None:
        own = sandbox.organisation.name
        assert send(sandbox, "members", {own: {}, "@id": "a"}) == 1
        out = capsys.readouterr().out
        assert f"hint: the tenant namespace has an underscore: write _{own}, not {own}" in out
        assert "hint: @id is the spelling" in out

    def test_nothing_is_sent_where_one_of_several_is_no_event(
        self, sandbox: Sandbox, capsys: pytest.CaptureFixture[str]
    ) -> None:
        assert send(sandbox, "members", orjson.dumps([self.member(sandbox, "m1"), 1])) == 2
        out, err = capsys.readouterr()
        assert (out, "event 2: not a valid event: expected a JSON object, got a number" in err) == ("", True)
        assert send(sandbox, "members", orjson.dumps([{}] * 61)) == 2
        assert "61 events given: AEP validates 60 a minute" in capsys.readouterr().err

    def test_the_standard_input(
        self, sandbox: Sandbox, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
    ) -> None:
        done = subprocess.run(
            [sys.executable, "-m", "pipelines.cli", "send", "--route", "members", *sandbox.options()],
            input=orjson.dumps(self.member(sandbox, "m2")),
            capture_output=True,
            cwd=ROOT,
            timeout=PATIENCE_SECONDS,
            check=False,
        )
        assert (done.returncode, done.stderr) == (0, b"")

    @pytest.mark.parametrize(
        ("route", "entity", "words"),
        [
            ("member", {}, "no route is called member, only members, older, raw"),
            ("members", b"[1]", "not a valid event"),
        ],
    )
    def test_what_cannot_be_sent(
        self, sandbox: Sandbox, capsys: pytest.CaptureFixture[str], route: str, entity: Any, words: str
    ) -> None:
        assert send(sandbox, route, entity) == 2
        assert words in capsys.readouterr().err

    def test_bad_credentials(self, sandbox: Sandbox, capsys: pytest.CaptureFixture[str]) -> None:
        assert send(sandbox, "members", self.member(sandbox, "m1"), "--aep_client_id=unknown") == 2
        assert "refuses the client unknown" in capsys.readouterr().err

    def test_a_record_does_not_move_a_person_s_cursor(
        self, sandbox: Sandbox, capsys: pytest.CaptureFixture[str]
    ) -> None:
        bad, seen = "a\x1b[2Jb\x9b1mc\u202ed", "\\x9b1mc\\u202ed"
        assert send(sandbox, "members", {**self.member(sandbox, "m9"), f"k{bad}": 1}) == 1
        out = capsys.readouterr().out
        assert seen in out
        assert not {"\x1b", "\x9b", "\u202e"} & {*out}
        assert send(sandbox, "members", self.member(sandbox, "m9", tags=[bad])) == 0
        looked_up(sandbox, capsys, "--namespace", "Loyalty", "--id", "m9")
        assert main(["lookup", "--namespace=Loyalty", "--id=m9", *sandbox.options()]) == 0
        out = capsys.readouterr().out
        assert seen in out
        assert not {"\x1b", "\x9b", "\u202e"} & {*out}

    def test_nobody(self, sandbox: Sandbox, capsys: pytest.CaptureFixture[str]) -> None:
        assert main(["lookup", "--namespace=Email", "--id=x@y.z", *sandbox.options()]) == 1
        assert "no profile of Email x@y.z" in capsys.readouterr().err


def test_the_loyalty_sample_closes_the_loop(
    sandbox: Sandbox, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """configs/provision.yaml takes what `beam-aep generate` makes, for the organisation whose field is `_acme`."""
    options: Sequence[str] = sandbox.options(org_id="ACME@AdobeOrg")
    monkeypatch.setattr(sandbox, "options", lambda: options)
    file = str(ROOT / "configs" / "provision.yaml")
    assert main(["provision", "-f", file, "--yes", *options]) == 0
    assert main(["provision", "-f", file, "--dry-run", *options]) == 0
    profile = next(iter(generate(1, kind="profiles")))
    events = [sample for sample in generate(40, kind="events") if sample.broken is None]
    for made, route in ((profile, "profiles"), (events[0], "events")):
        assert send(sandbox, route, made.value) == 0, capsys.readouterr()
    record = orjson.loads(profile.value)
    found = looked_up(sandbox, capsys, "--namespace", "Email", "--id", record["personalEmail"]["address"])
    assert found["profile"]["entity"]["person"] == record["person"]
    event = orjson.loads(events[0].value)
    member = str(event["_acme"]["loyalty"]["memberId"])
    found = looked_up(sandbox, capsys, "--namespace", "LoyaltyId", "--id", member)
    assert [each["id"] for each in found["events"]] == [event["_id"]]
    assert main(["lookup", "--namespace=LoyaltyId", f"--id={member}", "--events", *options]) == 0
    captured = capsys.readouterr()
    assert captured.err == ""
    assert captured.out.startswith(f"LoyaltyId {member} has events only, no profile record\n\n1 event\n")
    early = {**event, "_id": "early", "timestamp": "0001-01-01T00:00:00+10:00"}
    assert send(sandbox, "events", early) == 0
    wait_for(
        lambda: "early" in str(looked_up(sandbox, capsys, "--namespace=LoyaltyId", f"--id={member}")),
        PATIENCE_SECONDS,
        "the early event",
    )
    assert main(["lookup", "--namespace=LoyaltyId", f"--id={member}", "--events", *options]) == 0
    assert "ms since 1970  early" in capsys.readouterr().out
