"""The routes of the page, what a browser may do with it, and its one form that changes something: the faults.

A page of another origin must not switch faults on: its POST is refused by its `Origin`. The content security policy
lets a page load nothing but its own style sheet and script, and lets no other page frame it.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from urllib.parse import parse_qsl, urlencode

from starlette.requests import Request
from starlette.responses import RedirectResponse, Response
from starlette.routing import Route

from emulator.api.collection import MAX_BODY_BYTES, read_body
from emulator.api.numbers import is_whole_number
from emulator.api.origins import is_foreign
from emulator.page import fault_form, fault_presets
from emulator.page.audience_views import AudienceViews
from emulator.page.catalog_views import CatalogViews
from emulator.page.event_views import EventViews, Wanted
from emulator.page.facts import Facts, Services
from emulator.page.inlet_views import InletViews
from emulator.page.layout import SECTIONS, View, render
from emulator.page.markup import Html, address, code, element, heading, link, markup, note
from emulator.page.overview import Overview
from emulator.page.profile_views import ProfileViews
from emulator.page.stream_views import StreamViews

_HEADERS = {
    "Content-Security-Policy": "default-src 'none'; style-src 'self'; script-src 'self'; connect-src 'self'; "
    "img-src data:; form-action 'self'; base-uri 'none'; frame-ancestors 'none'",
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "same-origin",
    "Cache-Control": "no-store",
}
_FILES = {"page.css": "text/css", "page.js": "text/javascript"}


class Pages:
    def __init__(self, services: Services) -> None:
        self._services = services
        reader = Facts(services)
        self._audiences = AudienceViews(services)
        self._overview = Overview(services, reader)
        self._events = EventViews(services, reader)
        self._inlets = InletViews(services, reader, self._events)
        self._profiles = ProfileViews(services, reader, self._audiences)
        self._catalog = CatalogViews(services, reader, self._events)
        self._streams = StreamViews(services)

    def routes(self) -> list[Route]:
        views: dict[str, Callable[[Request], View | None]] = {
            "/": lambda _: self._overview.overview(),
            "/events": lambda request: self._events.events(Wanted.of(request.query_params)),
            "/events/{seq}": lambda request: self._event(request.path_params["seq"]),
            "/datasets": lambda _: self._catalog.datasets(),
            "/datasets/{id:path}": self._dataset,
            "/schemas": lambda _: self._catalog.schemas(),
            "/schemas/{id:path}": self._schema,
            "/connections": lambda request: self._catalog.connections(str(request.base_url)),
            "/inlets/{id}": lambda request: self._inlets.inlet(request.path_params["id"], str(request.base_url)),
            "/profiles": self._lookup,
            "/audiences": lambda _: self._audiences.audiences(),
            "/streams": lambda _: self._streams.streams(),
            "/faults": self._fault_view,
        }
        return [
            *(Route(path, self._endpoint(view), methods=["GET"]) for path, view in views.items()),
            Route("/faults", self._change_faults, methods=["POST"]),
            Route("/faults/preset", self._toggle_preset, methods=["POST"]),
            Route("/faults/clear", self._clear_faults, methods=["POST"]),
            Route("/streams/preset", self._toggle_kinesis_preset, methods=["POST"]),
            Route("/streams/clear", self._clear_kinesis, methods=["POST"]),
            *(Route(f"/static/{name}", _file(name, media_type)) for name, media_type in _FILES.items()),
        ]

    def _endpoint(self, make: Callable[[Request], View | None]) -> Callable[[Request], object]:
        async def endpoint(request: Request) -> Response:
            view = make(request)
            return self.not_found(request) if view is None else self._respond(request, view)

        return endpoint

    def not_found(self, request: Request) -> Response:
        """Return the page for an address that has none."""
        body = markup(
            note("There is no page at ", code(request.url.path), ", or what it showed was deleted."),
            element("ul", *(element("li", link(path, name)) for path, name in SECTIONS.items()), class_="sections"),
        )
        return self._respond(request, View("", "Not found", body), 404)

    def _respond(self, request: Request, view: View, status: int = 200) -> Response:
        services = self._services
        names = {each.id: each.name for each in services.inlets}
        faults_on = fault_form.on_now(services.faults.shown(), names, services.clock())
        page = render(view, faults_on, here=_here(request), refreshing=request.query_params.get("live") != "no")
        return Response(page, status, _HEADERS, media_type="text/html")

    def _event(self, seq: str) -> View | None:
        return self._events.event(int(seq)) if is_whole_number(seq) else None

    def _dataset(self, request: Request) -> View | None:
        return self._catalog.dataset(request.query_params.get("org", ""), request.path_params["id"])

    def _schema(self, request: Request) -> View | None:
        return self._catalog.schema(request.path_params["id"], request.query_params.get("inlet"))

    def _lookup(self, request: Request) -> View:
        query = request.query_params
        return self._profiles.profiles(query.get("namespace", "").strip(), query.get("id", "").strip())

    def _fault_view(self, request: Request) -> View | None:
        inlet_id = request.query_params.get("inlet", "")
        if inlet_id and self._services.inlets.get(inlet_id) is None:
            return None
        switches = fault_presets.set_for(self._services.faults, inlet_id)
        return View("/faults", "Faults", self._form(inlet_id, fault_form.typed(switches), {}))

    def _form(self, inlet_id: str, values: dict[str, str], errors: dict[str, str]) -> Html:
        scopes = {"": "all inlets", **{each.id: each.name for each in self._services.inlets}}
        links = [
            element(
                "a",
                name,
                href=address("faults", inlet=key or None),
                title=key or None,
                aria_current="true" if key == inlet_id else None,
            )
            for key, name in scopes.items()
        ]
        unknown = [
            element("p", f"{name}: {text}", class_="error")
            for name, text in errors.items()
            if name not in fault_form.NAMES
        ]
        services = self._services
        switches = fault_presets.set_for(services.faults, inlet_id)
        return markup(
            note("Faults that the emulator produces on purpose. What is set for one inlet overrides what is for all."),
            element("nav", *links, aria_label="For", class_="scopes"),
            fault_presets.buttons(
                fault_presets.presets_for(inlet_id), switches, services.clock(), "/faults/preset", inlet_id
            ),
            heading("All switches"),
            note("An empty field is not set."),
            element(
                "form",
                *unknown,
                fault_form.fields(values, errors, for_all=not inlet_id),
                element("input", type="hidden", name="inlet", value=inlet_id),
                element("div", element("button", "Apply"), class_="actions"),
                method="post",
                action="/faults",
            ),
        )

    async def _change_faults(self, request: Request) -> Response:
        form = await _form_of(request)
        if form is None:
            return self._refuse(request)
        inlet_id = form.pop("inlet", "")
        if inlet_id and self._services.inlets.get(inlet_id) is None:
            return self.not_found(request)
        try:
            self._services.faults.replace(fault_form.read(form), inlet_id)
        except fault_form.FormError as error:
            body = self._form(inlet_id, form, dict(error.errors))
            return self._respond(request, View("/faults", "Faults", body), 400)
        return self._saved(address("faults", inlet=inlet_id or None))

    async def _toggle_preset(self, request: Request) -> Response:
        form = await _form_of(request)
        if form is None:
            return self._refuse(request)
        inlet_id, preset = form.get("inlet", ""), fault_presets.PRESETS.get(form.get("preset", ""))
        if preset is None or (inlet_id and self._services.inlets.get(inlet_id) is None):
            return self.not_found(request)
        fault_presets.toggle(self._services.faults, preset, inlet_id, self._services.clock())
        return self._saved(address("faults", inlet=inlet_id or None))

    async def _clear_faults(self, request: Request) -> Response:
        if await _form_of(request) is None:
            return self._refuse(request)
        self._services.faults.clear()
        return self._saved("/faults")

    async def _toggle_kinesis_preset(self, request: Request) -> Response:
        form = await _form_of(request)
        if form is None:
            return self._refuse(request)
        preset = fault_presets.OF_KINESIS.get(form.get("preset", ""))
        if preset is None:
            return self.not_found(request)
        fault_presets.toggle_kinesis(self._services.kinesis.switches, preset, self._services.clock())
        return self._saved_kinesis()

    async def _clear_kinesis(self, request: Request) -> Response:
        if await _form_of(request) is None:
            return self._refuse(request)
        self._services.kinesis.switches.clear()
        return self._saved_kinesis()

    def _saved_kinesis(self) -> Response:
        self._services.store.define("kinesis", "switches", self._services.kinesis.switches.shown())
        return RedirectResponse("/streams", 303)

    def _saved(self, then: str) -> Response:
        self._services.store.define("faults", "", self._services.faults.shown())
        return RedirectResponse(then, 303)

    def _refuse(self, request: Request) -> Response:
        why = note("The form came from another site, or is too large. Use the form on this page.")
        return self._respond(request, View("/faults", "Refused", why), 403)


def _here(request: Request) -> str:
    """Return the address of the page itself, whether or not it is live."""
    query = [(key, value) for key, value in request.query_params.multi_items() if key != "live"]
    return request.url.path + (f"?{urlencode(query)}" if query else "")


async def _form_of(request: Request) -> dict[str, str] | None:
    """Return the fields of a form; None if another site's page sent it, or if it is larger than any form of ours."""
    body, size = await read_body(request)
    if is_foreign(request) or size > MAX_BODY_BYTES:
        return None
    return dict(parse_qsl(body.decode(errors="replace"), keep_blank_values=True))


def _file(name: str, media_type: str) -> Callable[[Request], object]:
    content = Path(__file__).with_name(name).read_bytes()

    async def endpoint(_: Request) -> Response:
        return Response(content, 200, _HEADERS, media_type=media_type)

    return endpoint
