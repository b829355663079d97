"""The page of streams: which there are, and what was put last, escaped."""

from __future__ import annotations

import requests

from testing.services.kinesis import Kinesis
from testing.services.process import PATIENCE_SECONDS


def test_streams_with_their_newest_records(kinesis: Kinesis) -> None:
    name = kinesis.create_stream(shards=2)
    client = kinesis.client()
    data = [b'{"n": %d}' % number for number in range(20)] + [b"<script>", b"\xff\xfe", b""]
    data.append(b"[" * 400 + b"]" * 400)  # JSON that can be read, and is nested too deeply to be written again
    client.put_records(StreamName=name, Records=[{"Data": each, "PartitionKey": "<b>"} for each in data])
    kinesis.switch(empty_read_rate=0.5)
    session = requests.Session()
    session.trust_env = False
    page = session.get(f"{kinesis.url}/streams", timeout=PATIENCE_SECONDS).text
    assert f"stream/{name}" in page
    assert "&lt;script&gt;" in page
    assert "<script>" not in page.partition("<main")[2]
    assert "[" * 400 in page
    assert "empty_read_rate" in page
    assert page.count(">&lt;b&gt;<") == 10
