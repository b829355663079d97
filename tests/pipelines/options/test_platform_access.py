"""From options to a client of the management APIs: what must be given, and as whom it calls."""

from __future__ import annotations

from pathlib import Path

import pytest

from aep.platform.schema_registry import SchemaRegistry
from pipelines.options.platform_access import platform_client, platform_settings, tokens_of, transport_of
from pipelines.options.yaml_files import OptionsError
from testing.services.emulator import CLIENT_ID, CLIENT_SECRET, Emulator

CREDENTIALS = ["--aep_org_id=ACME@AdobeOrg", f"--aep_client_id={CLIENT_ID}", "--aep_client_secret=env:AEP_SECRET"]


def problems_of(arguments: list[str]) -> list[str]:
    with pytest.raises(OptionsError) as refused:
        platform_settings(arguments)
    return refused.value.problems


def test_what_every_call_needs() -> None:
    assert problems_of([]) == [
        "aep_org_id: missing: give the organisation, as ID@AdobeOrg",
        "aep_client_id: missing: give the client id of the credentials, which is the API key",
        "aep_client_secret: missing: give a reference to the client secret, or with aep_token one to an access token",
    ]
    (missing,) = problems_of(["--aep_auth=token", *CREDENTIALS])
    assert missing == "aep_token: missing: give a reference to an access token"


def test_a_proxy_is_checked_as_for_the_pipeline() -> None:
    assert "aep_proxy: missing" in problems_of([*CREDENTIALS, "--aep_proxy_user=me", "--aep_proxy_password=env:P"])[0]


def test_the_options_file_of_a_pipeline_serves(tmp_path: Path) -> None:
    file = tmp_path / "aep.yaml"
    file.write_text("kafka_topics: [a]\nbatch_max_messages: 5\naep_sandbox: dev\naep_auth: none\n")
    settings = platform_settings([f"--options_file={file}", *CREDENTIALS])
    assert (settings.aep.sandbox, settings.aep.platform_url) == ("dev", "https://platform.adobe.io")


@pytest.mark.parametrize("by", ["oauth", "token"])
def test_a_client_calls_with_the_credentials(by: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AEP_SECRET", CLIENT_SECRET)
    with Emulator() as emulator:
        places = [f"--aep_platform_url={emulator.url}", f"--aep_ims_url={emulator.url}"]
        settings = platform_settings([*places, *CREDENTIALS])
        if by == "token":
            monkeypatch.setenv("AEP_TOKEN", tokens_of(settings, transport_of(settings)).token())
            settings = platform_settings([*places, *CREDENTIALS[:2], "--aep_token=env:AEP_TOKEN"])
        assert SchemaRegistry(platform_client(settings)).stats().org_id == "ACME@AdobeOrg"
