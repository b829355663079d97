"""A stand-in for Confluent's Schema Registry: real HTTP, the paths that its client reads, schemas in memory.

(Schema Registry API Reference: `GET /schemas/ids/(int: id)`, `GET /schemas/guids/(string: guid)`, `GET
/subjects/(string: subject)/versions/(version)`; an error has `error_code` and `message`, 40403 for a schema and
40402 for a version that is not there.)
"""

from __future__ import annotations

import base64
import json
import re
import threading
from collections.abc import Sequence
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from types import TracebackType
from typing import Any
from urllib.parse import unquote, urlsplit
from uuid import UUID


class SchemaRegistryServer:
    """A registry on 127.0.0.1 while its `with` block lasts.

    Attributes:
        user: `USER:PASSWORD` that requests must bring (Basic); None for none.
        answer: Status and body that take the place of every answer; None for none.
        requests: The paths asked for, in order.
    """

    def __init__(self, user: str | None = None) -> None:
        self.user = user
        self.answer: tuple[int, bytes] | None = None
        self.requests: list[str] = []
        self._schemas: dict[int, dict[str, Any]] = {}
        self._versions: dict[tuple[str, str], dict[str, Any]] = {}
        handler = type("Handler", (_Handler,), {"registry": self})
        self._server = ThreadingHTTPServer(("127.0.0.1", 0), handler)
        self._server.daemon_threads = True
        self.url = f"http://127.0.0.1:{self._server.server_port}"

    def __enter__(self) -> SchemaRegistryServer:
        threading.Thread(target=self._server.serve_forever, args=(0.02,), daemon=True).start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._server.shutdown()
        self._server.server_close()

    def register(
        self, schema: Any, subject: str = "", references: Sequence[dict[str, Any]] = (), schema_type: str = "AVRO"
    ) -> int:
        """Add a schema, as version 1 of a subject if one is given, and return its id.

        Args:
            schema: Its text, or what is to be written as JSON.
            references: Each `{"name", "subject", "version"}`.
        """
        number = len(self._schemas) + 1
        entry: dict[str, Any] = {"schema": schema if isinstance(schema, str) else json.dumps(schema)}
        if schema_type != "AVRO":  # an answer without a type is Avro
            entry["schemaType"] = schema_type
        if references:
            entry["references"] = list(references)
        self._schemas[number] = entry
        if subject:
            self._versions[subject, "1"] = {**entry, "subject": subject, "version": 1, "id": number}
        return number

    def answer_to(self, path: str, authorization: str | None) -> tuple[int, Any]:
        """Return status and body for a request."""
        if self.user is not None and authorization != f"Basic {base64.b64encode(self.user.encode()).decode()}":
            return 401, {"error_code": 401, "message": "Unauthorized"}
        if found := re.fullmatch(r"/schemas/ids/(\d+)", path):
            schema = self._schemas.get(int(found[1]))
            return (200, schema) if schema else (404, {"error_code": 40403, "message": f"Schema {found[1]} not found"})
        if found := re.fullmatch(r"/schemas/guids/([0-9a-f-]{36})", path):
            schema = next((each for number, each in self._schemas.items() if str(guid_of(number)) == found[1]), None)
            return (200, schema) if schema else (404, {"error_code": 40403, "message": f"Schema {found[1]} not found"})
        if found := re.fullmatch(r"/subjects/([^/]+)/versions/(\d+)", path):
            version = self._versions.get((unquote(found[1]), found[2]))
            return (200, version) if version else (404, {"error_code": 40402, "message": "Version not found."})
        return 404, {"error_code": 404, "message": "HTTP 404 Not Found"}


def guid_of(number: int) -> UUID:
    return UUID(int=0xA0000000_0000_4000_8000_000000000000 + number)


class _Handler(BaseHTTPRequestHandler):
    registry: SchemaRegistryServer
    protocol_version = "HTTP/1.1"

    def do_GET(self) -> None:
        path = urlsplit(self.path).path
        self.registry.requests.append(path)
        if self.registry.answer is not None:
            status, body = self.registry.answer
        else:
            status, answer = self.registry.answer_to(path, self.headers["Authorization"])
            body = json.dumps(answer).encode()
        self.send_response(status)
        self.send_header("Content-Type", "application/vnd.schemaregistry.v1+json")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, format: str, *args: Any) -> None:
        pass
