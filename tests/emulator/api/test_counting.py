from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest

from testing.services.emulator import Emulator
from tests.emulator.conftest import Client, make_message


@pytest.fixture(scope="module")
def counting() -> Iterator[Emulator]:
    with Emulator(count_only=True) as emulator:
        yield emulator


@pytest.fixture
def counting_inlet(counting: Emulator) -> dict[str, Any]:
    counting.reset()
    return counting.create_inlet()


@pytest.mark.parametrize("count", [0, 1, 700])
def test_one_response_for_each_message(
    counting: Emulator, counting_inlet: dict[str, Any], client: Client, count: int
) -> None:
    tricky = {"_id": "a", "text": 'a quoted "xdmEntity": {} in text'}
    answer = client.batch(counting_inlet, [make_message(counting_inlet, tricky)] * count)
    assert answer.status_code == 207
    body = answer.json()
    assert list(body) == ["inletId", "batchId", "receivedTimeMs", "responses"]
    assert [each["xactionId"].rpartition("-")[2] for each in body["responses"]] == [str(n) for n in range(count)]
    stats = counting.inlet_stats(counting_inlet["inletId"])
    assert (stats["requests"], stats["messages"], stats["accepted"]) == (1, count, count)
    assert stats["bytes"] == int(answer.request.headers["Content-Length"])
    assert stats["unique_ids"] is None


def test_single(counting: Emulator, counting_inlet: dict[str, Any], client: Client) -> None:
    assert client.single(counting_inlet, make_message(counting_inlet, "a")).status_code == 200
    assert counting.inlet_stats(counting_inlet["inletId"])["messages"] == 1


def test_raw_batch(counting: Emulator, client: Client) -> None:
    inlet = counting.create_inlet(data_type="raw")
    assert len(client.batch(inlet, [{}, {}, {}]).json()["responses"]) == 3
    assert client.post(inlet["inletUrl"].replace("/collection/", "/collection/batch/"), {}).status_code == 400


def test_faults_of_requests(counting: Emulator, counting_inlet: dict[str, Any], client: Client) -> None:
    counting.faults(rate={"503": 1})
    assert client.batch(counting_inlet, [make_message(counting_inlet, "a")]).status_code == 503
    counting.clear_faults()
    assert counting.inlet_stats(counting_inlet["inletId"])["messages"] == 0


def test_authentication(counting: Emulator, client: Client) -> None:
    inlet = counting.create_inlet(authentication_required=True)
    assert client.batch(inlet, [make_message(inlet, "a")]).status_code == 401
