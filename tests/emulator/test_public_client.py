"""A public client of AEP, aepp from PyPI, works with the emulator as published: it cannot tell it from AEP.

It calls Adobe's hosts over https, as it does everywhere; a proxy leads it to the emulator. `aepp_tour` is what it does.
"""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, NamedTuple

import orjson
import pytest

from testing.services import downloads
from testing.services.certificates import Authority
from testing.services.kinesis import Kinesis
from testing.services.process import PATIENCE_SECONDS
from testing.services.pytest_support import require
from tests.emulator.adobe_hosts import HOSTS, AdobeHosts
from tests.emulator.destination import have_stream
from tests.emulator.management import EVENT, HTTP_STREAMING, PROFILE

TOUR = Path(__file__).with_name("aepp_tour.py")
TENANT = "_aepp"
PERSON = "jane@example.com"
EVENTS = 25


class Tour(NamedTuple):
    """What aepp was told, by the steps of its tour, and what it asked of whom."""

    told: dict[str, Any]
    hosts: set[str]
    requests: list[str]


@contextmanager
def package() -> Iterator[Path]:
    """The folder to import aepp from; fetched if it is not there yet."""
    yield downloads.aepp()


@pytest.fixture(scope="module")
def tour(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Tour]:
    """aepp's tour of an emulator that has nothing yet."""
    folder = tmp_path_factory.mktemp("aepp")
    with (
        require(package()) as folder_of_aepp,
        Kinesis() as emulator,
        AdobeHosts(emulator.url, Authority(folder)) as hosts,
    ):
        have_stream(emulator, "members-of-aepp")
        emulator.faults(activation_reply="200")  # the tour takes the next etag from the reply
        environment = {**hosts.environment, "PYTHONPATH": str(folder_of_aepp), "PATH": os.environ["PATH"]}
        command = [sys.executable, str(TOUR), str(folder / "told.json")]
        done = subprocess.run(
            command, env=environment, cwd=folder, capture_output=True, text=True, timeout=PATIENCE_SECONDS, check=False
        )
        assert done.returncode == 0, done.stdout[-2000:] + done.stderr[-4000:]
        yield Tour(orjson.loads((folder / "told.json").read_bytes()), hosts.asked_for, hosts.requests)


def test_it_calls_the_hosts_of_adobe(tour: Tour) -> None:
    assert tour.hosts == {f"{host}:443" for host in HOSTS}
    assert "POST /ims/token/v3" in tour.requests


class TestSchemaRegistry:
    def test_created(self, tour: Tour) -> None:
        told = tour.told
        assert told["tenant"] == "aepp"
        assert told["field group"]["$id"].startswith("https://ns.adobe.com/aepp/mixins/")
        assert told["profile schema"]["meta:class"] == PROFILE
        assert told["event schema"]["required"] == ["@id", "xdm:timestamp"]
        assert "Title must be unique" in told["second of the same title"]["detail"]
        for kind in ("profile schema", "event schema"):
            assert told[f"descriptor of {kind}"]["xdm:isPrimary"] is True
            assert told[f"enabled {kind}"]["meta:immutableTags"] == ["union"]

    def test_looked_up(self, tour: Tour) -> None:
        told = tour.told
        own = told["schema"]["properties"][TENANT]["properties"]
        assert (own["points"]["meta:xdmType"], own["loyaltyID"]["title"]) == ("int", "Loyalty id")
        assert "firstName" in told["schema"]["properties"]["person"]["properties"]["name"]["properties"]
        assert "xdm:timestamp" in told["schema in standard notation"]["properties"]
        assert told["no schema"]["type"].endswith("/XDM-1012-404")

    def test_listed(self, tour: Tour) -> None:
        told = tour.told
        assert {each["title"] for each in told["schemas"]} == {"Members", "Visits"}
        assert [each["title"] for each in told["schemas of profiles"]] == ["Members"]
        assert [each["@id"] for each in told["descriptors"]] == [told["descriptor of profile schema"]["@id"]]
        assert {each["meta:class"] for each in told["unions"]} == {PROFILE, EVENT}
        assert f"{PROFILE}-person-details" in {each["$id"] for each in told["global field groups"]}


def test_data_sets(tour: Tour) -> None:
    told = tour.told
    ids = [told["profile dataset"], told["event dataset"]]
    assert told["created datasets"] == [[f"@/dataSets/{each}"] for each in ids]
    assert told["enabled dataset"] == [[f"@/dataSets/{ids[1]}"]] * 2
    tags = told["dataset"][ids[1]]["tags"]
    assert (tags["unifiedProfile"], tags["unifiedIdentity"]) == (["enabled:true"], ["enabled:true"])


class TestFlowService:
    def test_connections(self, tour: Tour) -> None:
        told = tour.told
        web = told["connection web"]
        assert web["connectionSpec"]["id"] == HTTP_STREAMING
        assert web["auth"]["params"]["inletUrl"].endswith(f"/collection/{web['auth']['params']['inletId']}")
        assert web["auth"]["params"]["inletUrl"].startswith("https://")
        assert [each["name"] for each in told["connections"]] == ["web", "raw", "spare"]
        assert told["deleted"] == 204

    def test_flows(self, tour: Tour) -> None:
        told = tour.told
        assert [each["id"] for each in told["flows"]] == [told["flow"]["id"], told["raw flow"]["id"]]
        assert told["changed flow"]["etag"] not in ("", told["flow"]["etag"])
        assert "does not match the current version" in told["changed again by the old etag"]["errorMessage"]

    def test_a_destination(self, tour: Tour) -> None:
        told, destination = tour.told, tour.told["destination"]
        assert told["tested connection"] is True
        assert told["marketing action"]["description"] == "to others"
        assert set(told["new credentials"]) == {"id", "etag"}
        assert (told["disabled"]["id"], destination["state"]) == (destination["id"], "disabled")
        assert destination["policy"] == {"enforcementRefs": ["/dulepolicy/marketingActions/custom/sell"]}
        (selector,) = destination["transformations"][0]["params"]["segmentSelectors"]["selectors"]
        assert selector["value"]["id"] == told["segment"]["id"]


class TestStreaming:
    def test_one_message(self, tour: Tour) -> None:
        told = tour.told
        assert told["streamed"]["syncValidation"] == {"skipped": True}
        assert told["streamed and validated"]["syncValidation"] == {"status": "pass"}
        (found,) = told["refused"]["report"]["cause"]["_streamingValidation"]
        assert [each["message"] for each in found["causingExceptions"]] == [
            "required key [loyaltyID] not found",
            "expected type: Integer, found: String",
        ]
        assert told["accepted, fails later"]["xactionId"]
        assert told["no such inlet"]["status"] == 404

    def test_a_batch(self, tour: Tour) -> None:
        *events, refused, again = tour.told["batch"]["responses"]
        assert [sorted(each) for each in [*events, again]] == [["xactionId"]] * 26
        assert (refused["status"], "header" in refused["message"]) == (400, True)

    def test_raw(self, tour: Tour) -> None:
        assert tour.told["raw"]["xactionId"]


def test_profiles(tour: Tour) -> None:
    (jane,) = tour.told[f"profile {PERSON}"].values()
    assert jane["entity"][TENANT] == {"loyaltyID": PERSON, "points": 2}
    assert jane["entity"]["identityMap"] == {"email": [{"id": PERSON}]}
    (raw,) = tour.told["profile raw@example.com"].values()
    assert raw["entity"][TENANT] == {"loyaltyID": "raw@example.com"}
    assert [each["entityId"] for each in tour.told["events"]] == [f"visit-{number}" for number in range(25)]
    assert tour.told["nobody"] == {"statusCode": "404"}
    assert sorted(bool(each["entity"]) for each in tour.told["several"].values()) == [False, True]


def test_failed_batch(tour: Tour) -> None:
    told = tour.told
    (batch,) = told["failed"].values()
    assert (batch["status"], batch["metrics"]["failedRecordCount"]) == ("failed", 1)
    (row,) = told["failed as a table"]
    assert (row["dataSetId"], row["errorCode"]) == (told["profile dataset"], ["DCVS-1104-400"])
    assert told["failed files"][0]["name"] == "_SUCCESS"
    record = told["failed record"]
    assert record["body"]["xdmEntity"][TENANT] == {"loyaltyID": PERSON, "points": "many"}
    assert record["header"]["xactionId"] == told["accepted, fails later"]["xactionId"]
    assert [each["code"] for each in record["_errors"]["_streamingValidation"]] == ["DCVS-1104-400"]


def test_records_read_back(tour: Tour) -> None:
    """All that passed, the event that was sent twice as well: the data lake keeps what Profile drops."""
    points = sorted(each[TENANT].get("points", -1) for each in tour.told["records"])
    assert points == sorted([-1, 1, 2, 0, *range(25)])
