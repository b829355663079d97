"""The server of the local Adobe Experience Platform and of the local Amazon Kinesis, and its command line."""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import gc
import signal
import socket
import sys
from collections.abc import Iterator, Sequence
from difflib import get_close_matches
from errno import EADDRINUSE
from ipaddress import ip_address
from pathlib import Path
from typing import Any, NamedTuple, NoReturn

import orjson
import uvicorn
from pydantic import ValidationError
from starlette.applications import Starlette
from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol

from emulator.api.ims import DEFAULT_CLIENT_ID, DEFAULT_CLIENT_SECRET
from emulator.api.local import validation_text
from emulator.api.origins import answering_to_local_names
from emulator.app import Emulator
from emulator.connection import TRANSPORT, dropping_what_ends
from emulator.state.inlets import describe
from emulator.state.store import StateFileError

KEEP_ALIVE_S = 75  # longer than clients keep idle connections, so that none is closed under a request
SHUTDOWN_S = 2  # what a request in progress gets at the end


class Sockets(NamedTuple):
    """What the two servers listen on."""

    aep: socket.socket
    kinesis: socket.socket


class Protocol(HttpToolsProtocol):
    """HTTP/1.1 that shows the connection to the application, for faults that drop it."""

    def on_message_begin(self) -> None:
        """Start a request's scope."""
        super().on_message_begin()
        self.scope["extensions"] = {TRANSPORT: {"transport": self.transport}}


class Companion(uvicorn.Server):
    """A server beside the main one, which takes the signals and ends it."""

    @contextlib.contextmanager
    def capture_signals(self) -> Iterator[None]:
        """Leave the signals alone."""
        yield


class Server(uvicorn.Server):
    """The main server. Once both listen it says where."""

    def __init__(self, config: uvicorn.Config, companion: Companion, sockets: Sockets, lines: Sequence[str]) -> None:
        super().__init__(config)
        self._companion = companion
        self._sockets = sockets
        self._lines = lines

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        """Start to listen, then print the addresses."""
        await super().startup([self._sockets.aep])
        self._companion_ends = asyncio.create_task(self._companion.serve([self._sockets.kinesis]))
        while not (self._companion.started or self._companion_ends.done()):
            await asyncio.sleep(0)
        print("\n".join(self._lines), flush=True)  # noqa: T201

    async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:
        """End the companion first: it uses the store that the main application closes."""
        self._companion.should_exit = True
        await self._companion_ends
        await super().shutdown(sockets)


def parse_arguments(argv: Sequence[str] | None, program: str) -> argparse.Namespace:
    """Read the command line."""
    parser = _Parser(
        allow_abbrev=False,
        prog=program,
        description="A local Adobe Experience Platform for demos and tests: IMS access tokens, the streaming "
        "collection service, Flow Service, Schema Registry, Catalog, Data Access and Profile access, all on one "
        "address, with a page for a browser; and Amazon Kinesis Data Streams, on another. Prints 'listening on "
        "http://HOST:PORT' when it is ready, then 'Kinesis: http://HOST:PORT' and the inlets.",
        epilog=f"Example: {program} --port 8080 --state aep.db. "
        f"IMS client: {DEFAULT_CLIENT_ID} with secret {DEFAULT_CLIENT_SECRET}. Create inlets with --inlets or "
        "POST /__local/inlets; see GET /__local/stats for what arrived. emulator/api/local.py lists all of /__local.",
    )
    parser.add_argument("--host", type=_host, default="127.0.0.1", help="address to listen on (default: %(default)s)")
    parser.add_argument("--port", type=int, default=0, help="port to listen on (default: any free one)")
    parser.add_argument(
        "--kinesis-port",
        type=int,
        default=0,
        metavar="PORT",
        help="port of the local Amazon Kinesis (default: any free one)",
    )
    parser.add_argument(
        "--kinesis-key",
        action="append",
        default=[],
        metavar="ID:SECRET",
        help="an AWS access key; with one or more of them the local Kinesis checks signatures and takes no other key "
        "(default: any key); may be repeated",
    )
    parser.add_argument(
        "--state", type=_path, metavar="FILE", help="SQLite file that keeps everything over restarts (default: none)"
    )
    parser.add_argument(
        "--inlets",
        type=_path,
        metavar="FILE",
        help='JSON list of inlets to create, such as [{"name": "demo", "org_id": "ACME@AdobeOrg"}]; '
        "the keys are those of POST /__local/inlets, and id may be given",
    )
    parser.add_argument(
        "--client",
        action="append",
        default=[],
        metavar="ID:SECRET",
        help="another IMS client; may be repeated",
    )
    parser.add_argument(
        "--count-only",
        action="store_true",
        help="counting mode for benchmarks: replies and counts, but checks and keeps nothing",
    )
    arguments, others = parser.parse_known_args([*map(_with_dashes, sys.argv[1:] if argv is None else argv)])
    if others:
        parser.error(_unknown(others[0], parser))
    return arguments


class _Parser(argparse.ArgumentParser):
    """A parser that says what is wrong on one line."""

    def error(self, message: str) -> NoReturn:
        self.exit(2, f"error: {message.removeprefix('argument ')}\n")


def _path(text: str) -> Path:
    if not text:
        raise argparse.ArgumentTypeError("expected a path, got an empty text")
    return Path(text)


def _host(text: str) -> str:
    if not text:  # which would be all addresses of this machine
        raise argparse.ArgumentTypeError("expected an address, got an empty text")
    return text


def _with_dashes(argument: str) -> str:
    """Take `--kinesis_port` for `--kinesis-port`."""
    name, equals, value = argument.partition("=")
    return f"{name.replace('_', '-')}{equals}{value}" if argument.startswith("--") else argument


def _unknown(argument: str, parser: argparse.ArgumentParser) -> str:
    if not argument.startswith("-"):
        return f"unexpected argument: {argument or repr('')}; see {parser.prog} --help"
    name = argument.partition("=")[0]
    near = get_close_matches(name, parser.format_usage().replace("[", " ").replace("]", " ").split(), n=1)
    return f"no such option: {name}" + (f", did you mean {near[0]}?" if near else f"; see {parser.prog} --help")


def prepare(arguments: argparse.Namespace) -> Emulator:
    """Build the emulator with the clients and inlets of the command line.

    Raises:
        ValueError: A file or a value that cannot be used; the message says which.
    """
    emulator = _open(arguments.state, count_only=arguments.count_only)
    for client in arguments.client:
        client_id, _, secret = client.partition(":")
        if not client_id or not secret:
            raise ValueError("--client: give ID:SECRET")
        emulator.ims.add_client(client_id, secret)
    for key in arguments.kinesis_key:
        key_id, _, secret = key.partition(":")
        if not key_id or not secret:
            raise ValueError("--kinesis-key: give ID:SECRET")
        emulator.kinesis.secrets[key_id] = secret
    for number, definition in enumerate(_read_inlets(arguments.inlets)):
        try:
            emulator.inlets.create(definition, stable_id=True)
        except ValidationError as error:
            raise ValueError(f"{arguments.inlets}: inlet {number}: {validation_text(error)}") from error
        except ValueError as error:
            raise ValueError(f"{arguments.inlets}: inlet {number}: {error}") from error
    return emulator


def _open(state: Path | None, *, count_only: bool) -> Emulator:
    try:
        return Emulator(state, count_only=count_only)
    except StateFileError:
        raise
    except Exception as error:  # whatever comes of reading what another version, or another program, has written
        if state is None:
            raise
        what = f"{type(error).__name__}: {str(error).splitlines()[0] if str(error) else ''}"
        raise StateFileError(
            f"state file {state}: it cannot be read ({what}); it is damaged, or of another version of the emulator: "
            "use another file here, or remove this one"
        ) from error


def _read_inlets(path: Path | None) -> list[Any]:
    if path is None:
        return []
    try:
        inlets = orjson.loads(path.read_bytes())
    except OSError as error:
        raise ValueError(f"--inlets {path}: {error.strerror}") from error
    except ValueError as error:
        raise ValueError(f"--inlets {path}: {error}") from error
    if not isinstance(inlets, list):
        raise ValueError(f"--inlets {path}: expected a JSON list of inlets")
    return inlets


def serve(emulator: Emulator, host: str, port: int, kinesis_port: int) -> None:
    """Serve until SIGTERM or SIGINT.

    Raises:
        ValueError: The address cannot be listened on.
    """
    with _listen(host, port, "--port") as aep, _listen(host, kinesis_port, "--kinesis-port") as kinesis:
        url = _url(host, aep)
        lines = [f"listening on {url}", "open it in a browser to see what arrives", f"Kinesis: {_url(host, kinesis)}"]
        lines += [f"inlet {inlet.name}: {describe(inlet, url)['inletUrl']}" for inlet in emulator.inlets]
        # uvicorn raises the signal that ended it once more: with these handlers that ends in a clean exit
        for number in (signal.SIGTERM, signal.SIGINT):
            signal.signal(number, lambda *_: None)
        # parsed messages are many small objects and no cycles: collecting them often finds nothing
        gc.freeze()
        gc.set_threshold(100_000, 50, 100)
        alone = ip_address(aep.getsockname()[0]).is_loopback
        companion = Companion(_config(emulator.kinesis_app(), alone=alone))
        asyncio.run(Server(_config(emulator.app(), alone=alone), companion, Sockets(aep, kinesis), lines).serve())


def _listen(host: str, port: int, option: str) -> socket.socket:
    # asyncio sets TCP_NODELAY only where the protocol is named; without it each answer takes 40 ms
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    listening = socket.socket(family, socket.SOCK_STREAM, socket.IPPROTO_TCP)
    listening.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    try:
        listening.bind((host, port))
    except OverflowError:
        listening.close()
        raise ValueError(f"cannot listen on {host}:{port}: a port is a number from 0 to 65535; see {option}") from None
    except OSError as error:
        listening.close()
        if error.errno == EADDRINUSE:
            raise ValueError(
                f"cannot listen on {host}:{port}: the port is in use; give another {option}, or 0 for any free port"
            ) from None
        raise ValueError(f"cannot listen on {host}:{port}: {error.strerror}; see {option} and --host") from error
    return listening


def _url(host: str, listening: socket.socket) -> str:
    shown_host = f"[{host}]" if ":" in host else host
    return f"http://{shown_host}:{listening.getsockname()[1]}"


def _config(app: Starlette, *, alone: bool) -> uvicorn.Config:
    """Return the configuration of a server; `alone` says that only this machine reaches it."""
    return uvicorn.Config(
        dropping_what_ends(answering_to_local_names(app) if alone else app),
        http=Protocol,
        loop="asyncio",
        ws="none",
        log_level="warning",
        access_log=False,
        server_header=False,
        timeout_keep_alive=KEEP_ALIVE_S,
        timeout_graceful_shutdown=SHUTDOWN_S,
    )


def main(argv: Sequence[str] | None, program: str) -> int:
    """Run the command; return its exit status.

    Args:
        argv: Its arguments.
        program: How the help says that it is called.
    """
    arguments = parse_arguments(argv, program)
    try:
        serve(prepare(arguments), arguments.host, arguments.port, arguments.kinesis_port)
    except ValueError as error:
        print(f"error: {error}", file=sys.stderr)  # noqa: T201
        return 2
    return 0
