"""The streams of the local Kinesis, and the newest records in them."""

from __future__ import annotations

from typing import Any

import orjson

from emulator.kinesis.store import StoredRecord
from emulator.kinesis.stream import Shard, Stream
from emulator.page.facts import Services
from emulator.page.fault_presets import OF_KINESIS, buttons
from emulator.page.layout import View
from emulator.page.markup import (
    MAX_JSON_CHARS,
    Column,
    Html,
    badge,
    code,
    copyable,
    element,
    folded,
    heading,
    json_block,
    markup,
    moment,
    note,
    number,
    table,
)

NEWEST = 10  # records shown of a shard
MAX_BYTES = 100_000  # of the records shown of a shard


class StreamViews:
    """The views, over the services."""

    def __init__(self, services: Services) -> None:
        self._services = services

    def streams(self) -> View:
        """Return all streams of all regions."""
        streams = self._services.kinesis.store.streams()
        switched = self._services.kinesis.switches.shown()
        body = markup(
            self._table(streams),
            *(self._newest(stream) for stream in streams),
            heading("Faults of Kinesis"),
            buttons(OF_KINESIS, switched, self._services.clock(), "/streams/preset"),
            _switches(switched) if switched else None,
        )
        return View("/streams", "Streams", body, live=True)

    def _table(self, streams: list[Stream]) -> Html:
        rows = [
            (
                markup(stream.name, Html("<br>"), copyable(stream.arn)),
                badge(stream.status, "good" if stream.status == "ACTIVE" else ""),
                number(len(stream.open_shards())),
                number(len(stream.shards) - len(stream.open_shards())),
                number(sum(shard.last for shard in stream.shards.values())),
                number(sum(shard.last - shard.first + 1 for shard in stream.shards.values())),
            )
            for stream in streams
        ]
        numbers = ("Open shards", "Closed shards", "Records put", "Records kept")
        columns: list[Column | str] = ["Stream", "Status", *(Column(each, numeric=True) for each in numbers)]
        return table(columns, rows, "No stream yet. They come from CreateStream of the Kinesis API.")

    def _newest(self, stream: Stream) -> Html:
        shards = [shard for shard in stream.shards.values() if shard.last >= shard.first]
        content = [self._records(shard) for shard in shards] or [note("No records.")]
        return folded(stream.arn, f"Newest records of {stream.name}", *content)

    def _records(self, shard: Shard) -> Html:
        position = max(shard.first, shard.last - NEWEST + 1)
        records, _ = self._services.kinesis.store.read(shard, position, limit=NEWEST, max_bytes=MAX_BYTES)
        rows = [
            (code(record.partition_key or ""), moment(record.arrival_ms), _shown(record))
            for record in reversed(records)
        ]
        state = "open" if shard.is_open else "closed"
        heads = ["Partition key", "Arrival (UTC)", "Data"]
        return element("div", element("h3", f"{shard.shard_id}, {state}"), table(heads, rows, "No records."))


def _switches(switched: dict[str, Any]) -> Html:
    """Return the switches that are set, with the way to switch them off."""
    return element(
        "form",
        note("Switches that are set: ", code(orjson.dumps(switched).decode())),
        element("button", "Switch all off"),
        method="post",
        action="/streams/clear",
    )


def _shown(record: StoredRecord) -> Html:
    """Return the data of a record, which may be anything."""
    try:
        return json_block(record.data)
    except orjson.JSONDecodeError:
        return element("pre", record.data[:MAX_JSON_CHARS].decode(errors="replace"))
