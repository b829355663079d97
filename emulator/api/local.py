"""`/__local`: what only a test bench needs. Nothing here exists in Adobe's platform. Foreign web pages are refused.

| call | does |
| --- | --- |
| GET /__local/stats | counts by inlet, unique `_id`s and duplicates, tokens, messages waiting for validation |
| GET /__local/ids?inlet=ID | each accepted `_id` and how often it was accepted |
| GET /__local/messages?inlet=ID&after=SEQ&limit=N | accepted messages, in order |
| GET /__local/failed?inlet=ID&after=SEQ&limit=N | those that failed the asynchronous validation, with the errors |
| GET /__local/profile_events?inlet=ID | each `_id` that the Profile store of its organisation holds |
| GET, POST /__local/inlets | lists, creates inlets (see `inlets.InletRequest`) |
| GET, POST /__local/clients | lists, adds IMS clients: `{"client_id", "client_secret"}` |
| POST /__local/revoke_tokens | revokes all access tokens |
| GET, POST, DELETE /__local/faults | shows, merges, clears faults (see `faults.Faults`) |
| POST /__local/reset | forgets counts, messages, batches, profiles, exports, records of streams and faults; what was
defined stays, and tokens |

`/__local/kinesis` is in `kinesis_local.py`, `/__local/evaluate` and `/__local/exports` in `local_export.py`.
"""

from __future__ import annotations

import inspect
from collections.abc import Callable
from typing import Any

import orjson
from pydantic import ValidationError
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from emulator.api.faults import FaultState
from emulator.api.ims import Ims
from emulator.api.numbers import is_whole_number
from emulator.api.origins import is_foreign
from emulator.api.problems import json_response
from emulator.kinesis.service import Kinesis
from emulator.state.batches import Batches
from emulator.state.depth import is_too_deep
from emulator.state.ingestion import Ingestion
from emulator.state.inlets import Inlets, describe
from emulator.state.profile_store import ProfileStore
from emulator.state.store import Store

Answer = Callable[[Request, Any], object]  # gets the request and its JSON body; returns the answer, or an awaitable


class Local:
    """The test bench's own endpoints."""

    def __init__(
        self,
        inlets: Inlets,
        store: Store,
        faults: FaultState,
        ims: Ims,
        ingestion: Ingestion,
        profiles: ProfileStore,
        batches: Batches,
        kinesis: Kinesis,
        count_only: bool,
    ) -> None:
        self._inlets = inlets
        self._ingestion = ingestion
        self._profiles = profiles
        self._batches = batches
        self._store = store
        self._faults = faults
        self._ims = ims
        self._kinesis = kinesis
        self._count_only = count_only

    def routes(self) -> list[Route]:
        """Return all endpoints under /__local."""
        endpoints: list[tuple[str, str, Answer]] = [
            ("GET", "stats", self._stats),
            ("GET", "ids", self._ids),
            ("GET", "messages", lambda request, _: self._messages(request, failed=False)),
            ("GET", "failed", lambda request, _: self._messages(request, failed=True)),
            ("GET", "profile_events", self._profile_events),
            ("GET", "inlets", self._list_inlets),
            ("POST", "inlets", self._create_inlet),
            ("GET", "clients", self._list_clients),
            ("POST", "clients", self._add_client),
            ("POST", "revoke_tokens", self._revoke_tokens),
            ("GET", "faults", self._show_faults),
            ("POST", "faults", self._change_faults),
            ("DELETE", "faults", self._clear_faults),
            ("POST", "reset", self._reset),
        ]
        return [local_route(method, name, answer) for method, name, answer in endpoints]

    def _stats(self, _request: Request, _body: Any) -> object:
        for inlet in self._inlets:
            self._store.counts(inlet.id)  # an inlet without requests counts zero
        inlets = self._store.stats()
        totals: dict[str, int | None] = {"unique_ids": None, "duplicates": None}
        for key in totals:
            if self._count_only:
                for stats in inlets.values():
                    stats[key] = None
            else:
                totals[key] = sum(stats[key] for stats in inlets.values())
        return {
            "inlets": inlets,
            **totals,
            "pending_validation": self._store.pending_count(),
            "token_requests": self._ims.requests,
            "tokens_issued": self._ims.tokens_issued,
            "count_only": self._count_only,
        }

    def _ids(self, request: Request, _body: Any) -> object:
        return {"ids": dict(self._store.ids(self._known_inlet(request)))}

    def _messages(self, request: Request, *, failed: bool) -> object:
        after, limit = (_number(request, name, default) for name, default in (("after", 0), ("limit", 1000)))
        found = self._store.messages(self._known_inlet(request), failed=failed, after=after, limit=limit)
        return {"messages": found}

    async def _profile_events(self, request: Request, _body: Any) -> object:
        """Validate what waits, so that the answer is about all messages confirmed so far."""
        asked = self._inlets.get(self._known_inlet(request))
        assert asked is not None
        await self._ingestion.caught_up()
        self._ingestion.catch_up()  # with what came meanwhile: the Profile store takes in all that there is
        local = [inlet.id for inlet in self._inlets if inlet.org_id == asked.org_id and inlet.flows is None]
        self._profiles.take_in(asked.org_id, local)
        return {"ids": self._profiles.event_ids(asked.org_id)}

    def _known_inlet(self, request: Request) -> str:
        inlet = self._inlets.get(request.query_params.get("inlet", ""))
        if inlet is None:
            raise ValueError("inlet: give the id of an existing inlet, such as ?inlet=ID")
        return inlet.id

    def _list_inlets(self, request: Request, _body: Any) -> object:
        return {"inlets": [describe(inlet, str(request.base_url)) for inlet in self._inlets]}

    def _create_inlet(self, request: Request, body: Any) -> object:
        return describe(self._inlets.create(body), str(request.base_url))

    def _list_clients(self, _request: Request, _body: Any) -> object:
        return {"clients": self._ims.client_ids}

    def _add_client(self, _request: Request, body: Any) -> object:
        values = (body.get("client_id"), body.get("client_secret"))
        if not all(isinstance(value, str) and value for value in values):
            raise ValueError("client_id and client_secret must be strings")
        self._ims.add_client(*values)
        return {"client_id": values[0]}

    def _revoke_tokens(self, _request: Request, _body: Any) -> object:
        return {"revoked": self._ims.revoke_all()}

    def _show_faults(self, _request: Request, _body: Any) -> object:
        return self._faults.shown()

    def _change_faults(self, request: Request, body: Any) -> object:
        if "inlet" in body and self._inlets.get(str(body["inlet"])) is None:
            raise ValueError("inlet: no inlet has this id")
        self._faults.change(body)
        return self._save_faults()

    def _clear_faults(self, _request: Request, _body: Any) -> object:
        self._faults.clear()
        return self._save_faults()

    def _save_faults(self) -> object:
        shown = self._faults.shown()
        self._store.define("faults", "", shown)
        return shown

    def _reset(self, _request: Request, _body: Any) -> object:
        self._store.reset()
        self._batches.forget()
        self._ims.reset_counts()
        self._faults.clear()
        self._kinesis.reset()
        self._store.undefine("kinesis", "switches")
        return self._save_faults()


def _number(request: Request, name: str, default: int) -> int:
    text = request.query_params.get(name, str(default))
    if not is_whole_number(text):
        raise ValueError(f"{name}: give a whole number")
    return int(text)


def local_route(method: str, name: str, answer: Answer) -> Route:
    """Make the route of `/__local/NAME`: JSON in, JSON out, a ValueError becomes a 400 that says what is wrong."""

    async def endpoint(request: Request) -> Response:
        if is_foreign(request):
            return json_response({"error": "pages of other origins may not call this"}, 403)
        try:
            body = orjson.loads(await request.body() or b"{}")
            if not isinstance(body, dict):
                raise ValueError("the body must be a JSON object")
            if is_too_deep(body):
                raise ValueError("the body is nested too deeply")
            answered = answer(request, body)
            return json_response(await answered if inspect.isawaitable(answered) else answered)
        except ValidationError as error:
            return json_response({"error": validation_text(error)}, 400)
        except ValueError as error:
            return json_response({"error": str(error)}, 400)

    return Route(f"/__local/{name}", endpoint, methods=[method])


def validation_text(error: ValidationError) -> str:
    """Return all that pydantic found, in one line, without the values."""
    return "; ".join(
        f"{'.'.join(str(step) for step in found['loc']) or 'body'}: {found['msg']}" for found in error.errors()
    )
