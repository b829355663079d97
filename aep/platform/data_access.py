"""Data Access: the files of batches, `/data/foundation/export`; here those of failed batches.

Sources: "Retrieving failed batches", Data Access API (OpenAPI). What streaming validation refuses after it was
received is in such a file, one JSON record a line, each with the message that was sent and its errors.
"""

from __future__ import annotations

import codecs
from collections.abc import Iterator
from typing import Any, NamedTuple

import orjson

from aep.errors import AepError
from aep.http.transport import MAX_REPLY_BYTES
from aep.platform.client import PlatformClient, segment
from aep.xdm.rejection import shorten

BASE = "/data/foundation/export"
MAX_PAGE = 100

# The empty file with which a writer says that it was done.
_SUCCESS = "_SUCCESS"
_MOST_WORDS = 500  # of what AEP says of a record, and may quote of it


class BatchFile(NamedTuple):
    """A file of a batch: its name and its length in bytes."""

    name: str
    length: int


class RecordError(NamedTuple):
    """What was wrong with a record.

    Attributes:
        code: Such as `DCVS-1106-400` (Adobe publishes no list), empty where there is none.
        keyword: Of JSON Schema, such as `format`, empty where there is none.
        pointer: Place in the record, such as `#/timestamp`, empty where there is none.
        message: In words.
    """

    code: str
    keyword: str
    pointer: str
    message: str


class FailedRecord(NamedTuple):
    """A line of a failed batch.

    Attributes:
        line: As it is in the file.
        document: Parsed, with the errors that Adobe has added; None if it is not a JSON object.
        errors: What was wrong.
    """

    line: bytes
    document: dict[str, Any] | None
    errors: list[RecordError]


class FileTooLargeError(AepError):
    """A file of a failed batch has more bytes than a reply may have."""

    def __init__(self, batch_id: str, file: BatchFile):
        super().__init__(
            f"file {file.name} of batch {batch_id} has {file.length:,} bytes, and a reply may have "
            f"{MAX_REPLY_BYTES:,}: get it yourself (Data Access, GET {BASE}/batches/{batch_id}/failed?path={file.name})"
        )


class NotWrittenError(AepError):
    """A failed batch has no files, not even the empty one that says that all are written."""


class DataAccess:
    """Data Access of one organisation and sandbox."""

    def __init__(self, client: PlatformClient):
        self._client = client

    def failed_files(self, batch_id: str) -> Iterator[BatchFile]:
        """Yield the files of a failed batch: `GET /batches/{id}/failed`, in pages of 100 (Retrieving failed batches).

        Raises:
            NotFoundError: There is no such batch.
        """
        path = self._path(batch_id)
        for page in self._client.pages(path, {"limit": MAX_PAGE}):
            for entry in self._client.listed(path, page, "data", ("name",)):
                length = str(entry.get("length", ""))
                yield BatchFile(str(entry["name"]), int(length) if length.isdecimal() else 0)

    def failed_file(self, batch_id: str, name: str) -> bytes:
        """Return the content of a file of a failed batch: `GET /batches/{id}/failed?path={name}`."""
        headers = {"Accept": "application/octet-stream, application/json"}
        return self._client.send("GET", self._path(batch_id), query={"path": name}, headers=headers).body

    def failed_records(self, batch_id: str) -> Iterator[FailedRecord]:
        """Yield all records of a failed batch, file by file.

        Raises:
            FileTooLargeError: One of its files cannot be got.
            NotWrittenError: There are no files.
        """
        file = None
        for file in self.failed_files(batch_id):
            if file.length > MAX_REPLY_BYTES:
                raise FileTooLargeError(batch_id, file)
            if file.name != _SUCCESS:
                content = self.failed_file(batch_id, file.name).removeprefix(codecs.BOM_UTF8)
                for line in content.splitlines():
                    if line.strip():
                        yield read_failed_record(line)
        if file is None:
            raise NotWrittenError(f"batch {batch_id} has failed and has no files yet")

    def _path(self, batch_id: str) -> str:
        return f"{BASE}/batches/{segment(batch_id)}/failed"


def read_failed_record(line: bytes) -> FailedRecord:
    """Read a line of a failed batch.

    Errors are in `_validationErrors` or in `_errors` by validator, such as `_streamingValidation` (Retrieving
    failed batches has both); an error may be made of others, of which only the innermost are kept.
    """
    try:
        document = orjson.loads(line)
    except orjson.JSONDecodeError:
        document = None
    if not isinstance(document, dict):
        return FailedRecord(line, None, [])
    groups = [document.get("_validationErrors")]
    by_validator = document.get("_errors")
    if isinstance(by_validator, dict):
        groups += by_validator.values()
    return FailedRecord(line, document, [found for group in groups for found in _innermost(group)])


def _innermost(errors: object) -> Iterator[RecordError]:
    for error in errors if isinstance(errors, list) else ():
        if not isinstance(error, dict):
            continue
        if error.get("causingExceptions"):
            yield from _innermost(error["causingExceptions"])
        else:
            parts = (error.get(name, "") for name in ("code", "keyword", "pointerToViolation", "message"))
            yield RecordError(*(shorten(str(part), _MOST_WORDS) for part in parts))
