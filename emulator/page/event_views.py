"""The newest messages: what each is, where it went, whom it is about, and a form that picks some of them."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from itertools import islice
from typing import Any, NamedTuple

import orjson

from emulator.page.facts import Facts, Services
from emulator.page.layout import View
from emulator.page.links import dataset_link, identity_link, inlet_link
from emulator.page.markup import (
    Content,
    Html,
    address,
    badge,
    code,
    element,
    folded,
    json_block,
    link,
    markup,
    moment,
    note,
    number,
    shortened,
)
from emulator.state.errors import ApiError
from emulator.state.failures import dcvs_errors
from emulator.state.identities import Named, identities_in
from emulator.state.store import NewMessage, State

BACK = 10_000  # messages that are looked through for the newest of a kind
MAX_BYTES = 20_000_000  # of messages that are looked through: meanwhile no request is served
NEWEST = 50
MAX_TYPES = 20  # suggested
COUNTING = "Counting mode: messages are counted, but not kept."
_STATES: Mapping[str, State] = {"accepted": "accepted", "invalid": "invalid", "to be validated": "pending"}


class Wanted(NamedTuple):
    """Which messages are shown; "" for any.

    Attributes:
        text: They contain this, in any case.
        type: Their event type contains this, in any case.
        state: What became of them, see `_STATES`.
        dataset: Id of their dataset.
        inlet: Id of their inlet.
    """

    text: str = ""
    type: str = ""
    state: str = ""
    dataset: str = ""
    inlet: str = ""

    @classmethod
    def of(cls, query: Mapping[str, str]) -> Wanted:
        """Read the parameters of a page."""
        return cls(*(query.get(name, "").strip() for name in cls._fields))

    def fits(self, message: NewMessage) -> bool:
        """Return whether a message has the text and the type."""
        if self.text and self.text.casefold() not in message.entity.decode(errors="replace").casefold():
            return False
        return not self.type or self.type.casefold() in _type_of(orjson.loads(message.entity)).casefold()


class EventViews:
    """The views, over the services."""

    def __init__(self, services: Services, reader: Facts) -> None:
        self._services = services
        self._facts = reader

    def events(self, wanted: Wanted) -> View:
        """Return the newest messages, or the newest of those that are wanted."""
        if self._services.count_only:
            return View("/events", "Events", note(COUNTING))
        found = list(islice(self._newest(wanted), NEWEST))
        if any(wanted):
            empty = f"None of the newest {number(BACK)} messages fits."
        else:
            empty = "Nothing has arrived yet. Messages refused on arrival are counted, but not kept."
        types = sorted({kind for each in found if (kind := _type_of(orjson.loads(each.entity)))})
        body = markup(self._form(wanted, types[:MAX_TYPES]), self.messages(found, empty=empty))
        return View("/events", "Events", body, live=True)

    def event(self, seq: int) -> View | None:
        """Return one message with all of its JSON; None if there is none of this number."""
        message = self._services.store.message(seq)
        return None if message is None else View("/events", "Event", self._message(message, alone=True))

    def some(self, wanted: Wanted, limit: int, empty: str) -> Html:
        """Return the newest messages of a kind, for another page."""
        return self.messages(islice(self._newest(wanted), limit), empty=empty)

    def messages(self, found: Iterable[NewMessage], *, empty: str) -> Html:
        """Return messages, each with its JSON to unfold."""
        shown = [self._message(each) for each in found]
        return element("div", *shown, class_="list") if shown else note(empty)

    def _newest(self, wanted: Wanted) -> Iterator[NewMessage]:
        if wanted.state and wanted.state not in _STATES:
            return  # as of a dataset or an inlet that there is not
        found = self._services.store.newest(
            among=BACK,
            dataset_id=wanted.dataset or None,
            inlet_id=wanted.inlet or None,
            state=_STATES.get(wanted.state),
        )
        looked_at = 0
        for message in found:
            if wanted.fits(message):
                yield message
            looked_at += len(message.entity)
            if looked_at > MAX_BYTES:
                return

    def _message(self, message: NewMessage, *, alone: bool = False) -> Html:
        entity = orjson.loads(message.entity)
        reasons: list[Content] = []
        if message.errors is not None:
            state = badge("invalid", "bad")
            for report in orjson.loads(message.errors):
                reasons += [element("li", code(key), " ", text) for key, text in dcvs_errors(report)]
        else:
            state = badge("to be validated", "note") if message.pending else badge("accepted", "good")
        inlet = self._services.inlets.get(message.inlet_id)
        org_id = inlet.org_id if inlet else ""
        kind = _type_of(entity)
        where: list[Content] = []
        if message.dataset_id:
            where += ["dataset ", dataset_link(self._facts, org_id, message.dataset_id), " · "]
        where += ["inlet ", inlet_link(self._services, message.inlet_id)]
        summary = markup(
            moment(message.received_ms),
            " ",
            state,
            " ",
            markup(element("strong", shortened(kind)), " ") if kind else None,
            code("no _id" if message.entity_id is None else shortened(message.entity_id)),
            element("ul", *reasons, class_="reasons") if reasons else None,
        )
        if alone:
            content = json_block(message.entity, most=None)
        else:
            content = json_block(message.entity, whole=address("events", str(message.seq)))
        about = markup(*where, *self._identities(message, org_id, entity))
        return folded(f"message-{message.seq}", summary, content, opened=alone, about=about)

    def _identities(self, message: NewMessage, org_id: str, entity: dict[str, Any]) -> Iterator[Content]:
        """Yield whom a message is about, as far as it can be told from it as it arrived."""
        for identity in self._named(message, org_id, entity):
            yield " · "
            yield identity_link(identity)

    def _named(self, message: NewMessage, org_id: str, entity: dict[str, Any]) -> list[Named]:
        try:
            collected = self._services.datasets.collected(org_id, message.dataset_id or "")
        except ApiError:  # the schema has lost a part
            collected = None
        return identities_in(entity, collected[1].identities if collected else ())

    def _form(self, wanted: Wanted, types: list[str]) -> Html:
        datasets = [(each.id, each.name) for each in self._facts.datasets()]
        inlets = [(each.id, each.name) for each in self._services.inlets]
        return element(
            "form",
            _text("text", "Contains", wanted.text, "an id, an address"),
            _text("type", "Event type", wanted.type, "purchases", types),
            _choice("state", "State", wanted.state, [(each, each) for each in _STATES]),
            _choice("dataset", "Dataset", wanted.dataset, datasets),
            _choice("inlet", "Inlet", wanted.inlet, inlets),
            element("div", element("button", "Filter"), " ", link("/events", "show all") if any(wanted) else None),
            method="get",
            action="/events",
            class_="lookup filter",
        )


def _type_of(entity: Any) -> str:
    """Return the event type of an entity; "" for a record."""
    kind = entity.get("eventType") if isinstance(entity, dict) else None
    return kind if isinstance(kind, str) else ""


def _text(name: str, label: str, value: str, example: str, suggested: Iterable[str] = ()) -> Html:
    options = [element("option", value=each) for each in suggested]
    known = element("datalist", *options, id=f"{name}-known") if options else None
    entry = element(
        "input",
        id=name,
        name=name,
        value=value,
        placeholder=example,
        autocomplete="off",
        list=f"{name}-known" if known else None,
    )
    return element("div", element("label", label, for_=name), entry, known, class_="field")


def _choice(name: str, label: str, value: str, choices: Iterable[tuple[str, str]]) -> Html:
    options = [element("option", text, value=key, selected=key == value) for key, text in (("", "any"), *choices)]
    return element(
        "div", element("label", label, for_=name), element("select", *options, id=name, name=name), class_="field"
    )
