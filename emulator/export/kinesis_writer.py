"""Write exports to the local Kinesis, subject to its rights, limits and switches like any other client."""

from __future__ import annotations

import base64
from collections.abc import Sequence

from emulator.export.worker import StreamRefusal
from emulator.kinesis.errors import ConnectionDroppedError, KinesisError
from emulator.kinesis.service import Kinesis
from emulator.state.destinations import Destination


class KinesisWriter:
    """A client of the local Kinesis within the process."""

    def __init__(self, kinesis: Kinesis) -> None:
        self._kinesis = kinesis

    async def put(self, destination: Destination, records: Sequence[tuple[str, bytes]]) -> list[StreamRefusal | None]:
        """Put records in one request, as `StreamWriter.put`."""
        entries = [{"PartitionKey": key, "Data": base64.b64encode(data).decode()} for key, data in records]
        try:
            caller = self._kinesis.sign_in(destination.access_key_id, destination.secret_key, destination.region)
            reply = await self._kinesis.call(
                caller, "PutRecords", {"StreamName": destination.stream, "Records": entries}
            )
        except KinesisError as error:
            return [StreamRefusal(error.code, error.message)] * len(records)
        except ConnectionDroppedError:
            return [StreamRefusal("ConnectionDropped", "the connection broke before the reply came")] * len(records)
        results = (reply or {}).get("Records", [])
        if len(results) != len(records):
            why = f"the reply has {len(results)} results for {len(records)} records"
            return [StreamRefusal("MalformedReply", why)] * len(records)
        return [
            StreamRefusal(result["ErrorCode"], result["ErrorMessage"]) if "ErrorCode" in result else None
            for result in results
        ]
