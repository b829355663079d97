"""Kinesis over HTTP: AWS JSON 1.1, one POST a call."""

from __future__ import annotations

import uuid

import orjson
from starlette.applications import Starlette
from starlette.requests import ClientDisconnect, Request
from starlette.responses import Response
from starlette.routing import Route

from emulator.connection import drop_connection
from emulator.kinesis.errors import ConnectionDroppedError, KinesisError
from emulator.kinesis.service import Kinesis
from emulator.kinesis.signature import SignedRequest, authenticate

MAX_BODY_BYTES = 20 << 20  # more than 10 MiB of records can take in JSON
_TARGET = "Kinesis_20131202."
_MEDIA_TYPE = "application/x-amz-json-1.1"


def kinesis_app(kinesis: Kinesis) -> Starlette:
    """Make the ASGI application of a service."""

    async def endpoint(request: Request) -> Response:
        try:
            return await _answer(kinesis, request)
        except KinesisError as error:
            return _response({"__type": error.code, "message": error.message}, error.status)
        except ConnectionDroppedError:
            await drop_connection(request)
        except ClientDisconnect:
            pass
        return Response(status_code=500)  # the client has gone

    return Starlette(routes=[Route("/", endpoint, methods=["POST"])])


async def _answer(kinesis: Kinesis, request: Request) -> Response:
    body = await _body(request)
    signed = SignedRequest(
        request.method,
        request.url.path,
        request.url.query,
        dict(request.headers.items()),
        body,
    )
    caller = authenticate(signed, kinesis.secrets, kinesis.clock())
    if not request.headers.get("content-type", "").startswith(_MEDIA_TYPE):
        raise KinesisError("SerializationException", f"the local Kinesis speaks {_MEDIA_TYPE} only", 415)
    try:
        parameters = orjson.loads(body)
    except orjson.JSONDecodeError as error:
        raise KinesisError("SerializationException", f"the body is not JSON: {error}") from error
    operation = request.headers.get("x-amz-target", "").removeprefix(_TARGET)
    return _response(await kinesis.call(caller, operation, parameters))


async def _body(request: Request) -> bytes:
    chunks = []
    size = 0
    async for chunk in request.stream():
        size += len(chunk)
        if size > MAX_BODY_BYTES:
            raise KinesisError("RequestEntityTooLargeException", "the request is too large", 413)
        chunks.append(chunk)
    return b"".join(chunks)


def _response(content: object, status: int = 200) -> Response:
    headers = {"x-amzn-RequestId": str(uuid.uuid4())}
    return Response(b"" if content is None else orjson.dumps(content), status, headers, media_type=_MEDIA_TYPE)
