"""The page over HTTP: what it shows, that it escapes everything, and who may switch faults on."""

from __future__ import annotations

import re
import shlex
from html import unescape
from html.parser import HTMLParser
from typing import Any
from urllib.parse import quote

import pytest
import requests

from emulator.page import fault_presets
from testing.services.emulator import CLIENT_SECRET, Emulator
from testing.services.process import PATIENCE_SECONDS
from tests.emulator.conftest import SCHEMA, Client, make_message
from tests.emulator.management import ENTITIES, EVENT, PROFILE, Platform

SECTIONS = ("/", "/events", "/datasets", "/schemas", "/connections", "/profiles", "/audiences", "/streams", "/faults")
HOSTILE = "</code></div>\"'<script>alert(1)</script><img src=x onerror=alert(1)>&amp;"


class _Reader(HTMLParser):
    """Collects the text and the elements of a page, and sees that elements end in the order they began."""

    def __init__(self) -> None:
        super().__init__()
        self.text = ""
        self.elements: list[str] = []
        self.open: list[str] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.elements.append(tag)
        if tag not in ("meta", "link", "input", "br"):
            self.open.append(tag)

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag

    def handle_data(self, data: str) -> None:
        self.text += data + " "


class Page:
    """A page that was fetched."""

    def __init__(self, answer: requests.Response) -> None:
        self.status = answer.status_code
        self.headers = answer.headers
        self.html = answer.text
        reader = _Reader()
        reader.feed(answer.text)
        reader.close()
        assert reader.open == []
        self.elements = reader.elements
        self.text = " ".join(reader.text.split())

    def link(self, text: str) -> str:
        """Return the address behind a link with this text."""
        found = re.search(rf'href="([^"]*)"[^>]*>{re.escape(text)}<', self.html)
        assert found, f"no link {text!r}"
        return unescape(found[1])


class Browser:
    """Fetches pages and sends forms."""

    def __init__(self, emulator: Emulator, client: Client) -> None:
        self._emulator = emulator
        self._session = client.session

    def fetch(self, path: str, **headers: str) -> requests.Response:
        return self._session.get(self._emulator.url + path, headers=headers, timeout=PATIENCE_SECONDS)

    def get(self, path: str) -> Page:
        return Page(self.fetch(path))

    def post(self, path: str, form: dict[str, str], **headers: str) -> requests.Response:
        return self._session.post(
            self._emulator.url + path, data=form, headers=headers, timeout=PATIENCE_SECONDS, allow_redirects=False
        )


def links_in_buttons(page: Page) -> list[str]:
    """Return summaries with links in them, which screen readers do not find: all of a summary is one button."""
    return [each for each in re.findall("<summary>(.*?)</summary>", page.html, re.DOTALL) if "<a " in each]


@pytest.fixture
def browser(emulator: Emulator, client: Client) -> Browser:
    return Browser(emulator, client)


@pytest.fixture
def local_inlet(emulator: Emulator) -> dict[str, Any]:
    return emulator.create_inlet(name="clicks", schema=SCHEMA)


def test_nothing_has_happened_yet(client: Client) -> None:
    with Emulator() as emulator:
        browser = Browser(emulator, client)
        pages = {path: browser.get(path) for path in SECTIONS}
    assert {page.status for page in pages.values()} == {200}
    assert "No inlet yet" in pages["/"].text
    assert "Nothing has arrived yet" in pages["/events"].text
    assert "No dataset yet" in pages["/datasets"].text
    assert "No schema yet" in pages["/schemas"].text
    assert "No connection yet" in pages["/connections"].text
    assert "The Profile store is empty" in pages["/profiles"].text
    assert "No audience yet" in pages["/audiences"].text
    assert "No destination yet" in pages["/audiences"].text
    assert "No stream yet" in pages["/streams"].text


@pytest.mark.parametrize("path", SECTIONS)
def test_pages_load_nothing_but_their_own_files_and_cannot_be_framed(browser: Browser, path: str) -> None:
    page = browser.get(path)
    policy = page.headers["content-security-policy"]
    assert "default-src 'none'" in policy
    assert "frame-ancestors 'none'" in policy
    assert set(re.findall(r'(?:src|href)="((?:https?:|//)[^"]*)"', page.html)) == set()
    for address in re.findall(r'"(/static/[^"]*)"', page.html):
        assert browser.fetch(address).status_code == 200


def test_overview_counts(browser: Browser, client: Client, emulator: Emulator, local_inlet: dict[str, Any]) -> None:
    entities: list[Any] = ["a", "b", "a", {"_id": "bad", "timestamp": "never"}]
    client.batch(local_inlet, [*(make_message(local_inlet, each) for each in entities), {"not": "a message"}])
    emulator.failed(local_inlet["inletId"])
    text = browser.get("/").text
    assert "accepted 4 rejected 1 invalid 1 duplicates 1" in text
    assert re.search(
        r"Messages a second 120 s ago most: [\d,]+ now Answer time, mean of a second 120 s ago slowest: ", text
    )
    # requests, requests a second (not known at the first look), messages and what became of them
    assert re.search(r"clicks [0-9a-f]{12}… ACME@AdobeOrg 1 \S+ 5 4 1 0 1 1 207 × 1", text)


def test_overview_in_counting_mode(client: Client) -> None:
    with Emulator(count_only=True) as emulator:
        inlet = emulator.create_inlet(schema=SCHEMA)
        client.batch(inlet, [make_message(inlet, "a")] * 3)
        browser = Browser(emulator, client)
        assert "accepted 3 rejected 0 invalid 0 duplicates –" in browser.get("/").text
        assert "but not kept" in browser.get("/events").text


def test_newest_messages_with_what_became_of_them(
    browser: Browser, client: Client, emulator: Emulator, local_inlet: dict[str, Any]
) -> None:
    client.single(local_inlet, make_message(local_inlet, "good"))
    client.single(
        local_inlet, make_message(local_inlet, {"_id": "bad", "timestamp": "2026-01-02T03:04:05Z", "points": "7"})
    )
    emulator.failed(local_inlet["inletId"])
    text = browser.get("/events").text
    assert text.index("invalid bad DCVS-1104-400") < text.index("accepted good ")
    assert text.count("dataset dataset of clicks · inlet clicks") == 2
    assert "#/points: expected type: Integer, found: String" in text
    assert '"points": "7"' in text


def test_messages_say_what_they_are_where_they_went_and_whom_they_are_about(
    browser: Browser, platform: Platform
) -> None:
    group = platform.field_group(EVENT, title="Visit", member={"type": "string"})
    schema = platform.schema(EVENT, group, title="Visits")
    platform.identity(schema, f"/{platform.tenant}/member", "Loyalty")
    dataset = platform.dataset(schema)
    connection = platform.connection(name="web")
    url = platform.inlet_url(connection)
    for number, kind in enumerate(["commerce.purchases", "web.webpagedetails.pageViews", None]):
        entity = {"_id": f"v{number}", "timestamp": "2026-01-02T03:04:05Z", platform.tenant: {"member": f"m{number}"}}
        if kind:
            entity["eventType"] = kind
        assert platform.call("POST", url, platform.message(schema, dataset, entity)).status_code == 200
    page = browser.get("/events")
    assert re.search(r"commerce\.purchases v0 .*? dataset \S.* · inlet web · loyalty: m0", page.text)
    assert links_in_buttons(page) == []
    assert browser.get(page.link("loyalty: m0")).text.count("Looked up m0") == 1
    assert browser.get(page.link("web")).text.startswith("web – local AEP")

    def shown(query: str) -> list[str]:
        return re.findall(r"<code>(v\d|other)</code>", browser.fetch(f"/events?{query}").text)

    inlet = platform.emulator.create_inlet(validation="off")
    platform.call("POST", inlet["inletUrl"], make_message(inlet, {"_id": "other", "eventType": "PURCHASE"}))
    assert shown(f"dataset={dataset}") == ["v2", "v1", "v0"]
    assert shown(f"dataset={dataset}&text=M1") == ["v1"]
    assert shown(f"dataset={dataset}&type=purchase") == ["v0"]
    assert shown("type=purchase")[:2] == ["other", "v0"]
    assert shown(f"inlet={inlet['inletId']}") == ["other"]
    assert shown(f"dataset={dataset}&state=invalid") == []
    assert shown(f"dataset={dataset}&state=bogus") == []  # as of a dataset that there is not
    assert len(shown(f"dataset={dataset}&state=accepted")) + len(shown(f"dataset={dataset}&state=to+be+validated")) == 3
    place = {"_id": "other", "eventType": "ÜBERNACHTUNG", "text": "ZÜRICH"}
    platform.call("POST", inlet["inletUrl"], make_message(inlet, place))
    for query in ("text=ZÜRICH", "text=zürich", "type=übernachtung", "text=zürich&type=Über&state=accepted"):
        assert shown(f"inlet={inlet['inletId']}&{query}") == ["other"]
    assert "None of the newest 10,000 messages fits." in browser.get("/events?text=nobody+has+this").text


def test_an_inlet_has_a_page_with_a_command_that_works(
    browser: Browser, emulator: Emulator, local_inlet: dict[str, Any]
) -> None:
    page = browser.get(f"/inlets/{local_inlet['inletId']}")
    assert local_inlet["inletUrl"] in page.text
    assert "/collection/batch/" in page.text
    command = re.search(r"<pre>(curl .*?)</pre>", page.html, re.DOTALL)
    assert command
    _, url, _, header, _, data = (word for word in shlex.split(unescape(command[1])) if word != "\n")
    answer = requests.post(url, data, headers=dict([header.split(": ")]), timeout=PATIENCE_SECONDS)
    assert answer.json()["inletId"] == local_inlet["inletId"]
    assert emulator.ids(local_inlet["inletId"]) == {"example-1": 1}
    assert "example-1" in browser.get(f"/inlets/{local_inlet['inletId']}").text


def test_long_messages_are_cut(browser: Browser, client: Client, emulator: Emulator) -> None:
    inlet = emulator.create_inlet(validation="off")
    for text in ("x" * 200_000, "y" * 6_000):
        assert client.single(inlet, make_message(inlet, {"text": text})).status_code == 200
    page = browser.get("/events")
    assert "more characters" in page.text
    wholes = [browser.get(path) for path in re.findall(r'<a href="([^"]*)">… [\d,]+ more characters</a>', page.html)]
    assert ["x" * 200_000 in whole.text for whole in wholes] == [False, True]
    assert ["y" * 6_000 in whole.text for whole in wholes] == [True, False]
    assert [whole.html.count('class="copy"') for whole in wholes] == [1, 1]
    for path in ("/events/0", f"/events/{2**64}", "/events/x"):
        assert browser.get(path).status == 404
    assert len(re.sub("<option.*?</option>", "", page.html)) < 20_000  # the filters name all inlets of other tests


def test_long_ids_are_cut_where_many_are_shown(browser: Browser, client: Client, emulator: Emulator) -> None:
    inlet = emulator.create_inlet(validation="off")
    entity = {"_id": f"first-{'x' * 3_000}-last", "eventType": f"visit.{'y' * 3_000}"}
    client.single(inlet, make_message(inlet, entity))
    page = browser.get("/events")
    assert re.search(r" visit\.y{194} … y{200} first-x{194} … x{195}-last ", page.text)
    assert f'"first-{"x" * 3_000}-last"' in unescape(page.html)  # unfolded


def test_schemas_and_their_fields(browser: Browser, platform: Platform, local_inlet: dict[str, Any]) -> None:
    level = {"type": "string", "enum": ["gold", "silver"]}
    items = {
        "type": "array",
        "items": {"type": "object", "required": ["sku"], "properties": {"sku": {"type": "string"}}},
    }
    group = platform.field_group(title="G", member={"type": "string", "minLength": 3}, level=level, items=items)
    schema = platform.schema(PROFILE, group, title="Members of the club")
    platform.identity(schema, f"/{platform.tenant}/member", "Loyalty")
    dataset = platform.dataset(schema)
    listed = browser.get("/schemas")
    assert f"Members of the club {schema} {platform.org_id} profile 1.0 Profile loyalty" in listed.text
    page = browser.get(listed.link("Members of the club"))
    assert "member string primary identity: Loyalty shortest 3" in page.text
    assert "level string one of gold, silver" in page.text
    assert "items array of object sku string required" in page.text
    # that of an inlet, which the Schema Registry does not know
    found = browser.get(f"/schemas/{quote(SCHEMA['$id'], safe='')}?inlet={local_inlet['inletId']}")
    assert "_id string required" in found.text
    assert "points int" in found.text
    assert dataset in browser.get("/datasets").text


def test_schema_that_lost_a_part_still_has_a_page(browser: Browser, platform: Platform) -> None:
    schema = platform.schema(PROFILE, title="Short-lived")
    address = browser.get("/schemas").link("Short-lived")
    assert browser.get(address).status == 200
    assert platform.call("DELETE", f"/data/foundation/schemaregistry/tenant/schemas/{quote(schema, safe='')}").ok
    assert browser.get(address).status == 404


def test_data_set_with_failed_batches_and_their_reasons(browser: Browser, platform: Platform) -> None:
    group = platform.field_group(EVENT, title="Visit", member={"type": "string"}, pages={"type": "integer"})
    schema = platform.schema(EVENT, group, title="Visits")
    platform.identity(schema, f"/{platform.tenant}/member", "Loyalty")
    dataset = platform.dataset(schema)
    connection = platform.connection(name="web")
    flow = platform.flow(connection, dataset)
    url = platform.inlet_url(connection)
    for number, pages in enumerate([1, "many", "few"]):
        own = {"member": f"m{number}", "pages": pages}
        entity = {"_id": f"visit-{number}", "timestamp": "2026-01-02T03:04:05Z", platform.tenant: own}
        assert platform.call("POST", url, platform.message(schema, dataset, entity)).status_code == 200
    (batch,) = platform.batches(f"status=failed&dataSet={dataset}")
    page = browser.get(f"/datasets/{dataset}?org={platform.org_id}")
    assert f"{batch} Code Records For example DCVS-1104-400 2 The message cannot be validated" in page.text
    assert "visit-1 DCVS-1104-400" in page.text
    assert "Newest records" in page.text
    assert re.search(rf"{platform.org_id} Visits Profile 1 2 1", browser.get("/datasets").text)
    shown = browser.get("/connections").text
    assert url in shown
    assert f"flow {flow} {platform.org_id} web loyalty –" in shown

    profile = browser.get("/profiles?namespace=loyalty&id=m0")
    assert f"Organisation {platform.org_id} Looked up m0 copy Identities loyalty: m0" in profile.text
    assert "Events only, no record." in profile.text
    assert "Timeline: 1 event" in profile.text
    assert "visit-0" in profile.text
    assert "No organisation's Profile store knows 'm1'" in browser.get("/profiles?namespace=loyalty&id=m1").text


def test_a_profile_shows_what_happened_to_it_the_newest_first(browser: Browser, platform: Platform) -> None:
    group = platform.field_group(EVENT, title="Visit", member={"type": "string"})
    schema = platform.schema(EVENT, group, title="Visits")
    platform.identity(schema, f"/{platform.tenant}/member", "Loyalty")
    dataset = platform.dataset(schema)
    url = platform.inlet_url(platform.connection())
    days = ["2026-01-02", "2026-01-02", "2026-01-01", "2026-01-03"]
    for number, day in enumerate(days):
        own = {platform.tenant: {"member": "timeline"}, "eventType": f"visit.{number}"}
        entity = {"_id": f"t{number}", "timestamp": f"{day}T0{number}:00:00Z", **own}
        assert platform.call("POST", url, platform.message(schema, dataset, entity)).status_code == 200
    platform.records(dataset)
    page = browser.get("/profiles?namespace=Loyalty&id=timeline")
    text = page.text
    assert "Timeline: 4 events" in text
    shown = [
        "Saturday, 03 January 2026 03:00:00 visit.3 t3",
        "Friday, 02 January 2026 01:00:00 visit.1 t1",
        "00:00:00 visit.0 t0",
        "Thursday, 01 January 2026 02:00:00 visit.2 t2",
    ]
    places = [text.index(each) for each in shown]
    assert places == sorted(places)
    assert page.elements.count("rect") == 60
    assert "2026-01-01 02:00: 1" in text


def test_a_profile_has_a_page_whatever_its_events_times(browser: Browser, platform: Platform) -> None:
    group = platform.field_group(EVENT, title="Visit", member={"type": "string"})
    schema = platform.schema(EVENT, group, title="Visits")
    platform.identity(schema, f"/{platform.tenant}/member", "Loyalty")
    dataset = platform.dataset(schema)
    url = platform.inlet_url(platform.connection())
    for number, time in enumerate(["0001-01-01T00:00:00+10:00", "1969-01-01T00:00:00Z", "2026-01-01T00:00:00Z"]):
        entity = {"_id": f"o{number}", "timestamp": time, platform.tenant: {"member": "old"}}
        assert platform.call("POST", url, platform.message(schema, dataset, entity)).status_code == 200
    platform.records(dataset)
    text = browser.get("/profiles?namespace=Loyalty&id=old").text
    assert text.index("00:00:00 event o2") < text.index("00:00:00 event o1") < text.index("00:00:00 event o0")
    who = "relatedEntityId=old&relatedEntityIdNS=Loyalty"
    found = platform.get(f"{ENTITIES}?schema.name=_xdm.context.experienceevent&{who}")
    assert [child["entityId"] for child in found["children"]] == ["o0", "o1", "o2"]


def test_profile_merged_of_records(browser: Browser, platform: Platform) -> None:
    group = platform.field_group(title="Member", member={"type": "string"}, points={"type": "integer"})
    schema = platform.schema(PROFILE, group, title="Members")
    platform.identity(schema, f"/{platform.tenant}/member", "Loyalty")
    dataset = platform.dataset(schema)
    url = platform.inlet_url(platform.connection())
    for points in (1, 2):
        entity = {platform.tenant: {"member": "merged-1", "points": points}}
        assert platform.call("POST", url, platform.message(schema, dataset, entity)).status_code == 200
    platform.records(dataset)
    page = browser.get("/profiles?namespace=Loyalty&id=merged-1")
    assert '"points": 2' in page.text
    assert re.search(r"record .*? of .+ for loyalty: merged-1", page.text)
    assert links_in_buttons(page) == []
    assert browser.get("/profiles").link("merged-1") == "/profiles?namespace=loyalty&id=merged-1"


def test_everything_is_escaped(browser: Browser, client: Client, emulator: Emulator) -> None:
    schema = {
        **SCHEMA,
        "title": HOSTILE,
        "properties": {**SCHEMA["properties"], HOSTILE: {"type": "string", "pattern": HOSTILE}},
    }
    inlet = emulator.create_inlet(name=HOSTILE, org_id=HOSTILE, dataset_id=HOSTILE, schema=schema)
    bad = {"_id": HOSTILE, "timestamp": HOSTILE, HOSTILE: "x"}
    client.batch(inlet, [make_message(inlet, bad)])
    emulator.failed(inlet["inletId"])
    emulator.faults(inlet=inlet["inletId"], retry_after=HOSTILE)
    name = quote(HOSTILE, safe="")
    paths = [
        *SECTIONS,
        f"/schemas/{quote(SCHEMA['$id'], safe='')}?inlet={inlet['inletId']}",
        f"/datasets/{name}?org={name}",
        f"/profiles?namespace={name}&id={name}",
        f"/faults?inlet={inlet['inletId']}",
        f"/inlets/{inlet['inletId']}",
        f"/events?text={name}&type={name}&state={name}&dataset={name}&inlet={name}",
        f"/datasets/{name}",
    ]
    for path in paths:
        page = browser.get(path)
        assert " ".join(HOSTILE.split()) in page.text, path
        assert "img" not in page.elements, path
        assert page.elements.count("script") == 1, path
    for field, value in (("latency_ms", HOSTILE), ("rate", HOSTILE), (HOSTILE, "1")):
        refused = Page(browser.post("/faults", {field: value}))
        assert (refused.status, "img" in refused.elements, refused.elements.count("script")) == (400, False, 1)


def test_faults_from_the_form_to_the_service_and_back(
    browser: Browser, emulator: Emulator, client: Client, local_inlet: dict[str, Any]
) -> None:
    form = {
        "inlet": "",
        "rate": "503=0.5, 429=0.25",
        "retry_after": "7",
        "latency_ms": " 12.5 ",
        "reset_when": "after",
        "token_milliseconds": "yes",
        "sync_supported": "no",
        "ims_status": "500",
        "jitter_ms": "",
    }
    answer = browser.post("/faults", form, Origin=emulator.url)
    assert (answer.status_code, answer.headers["location"]) == (303, "/faults")
    assert emulator.local("GET", "faults") == {
        "rate": {"503": 0.5, "429": 0.25},
        "retry_after": "7",
        "latency_ms": 12.5,
        "reset_when": "after",
        "token_milliseconds": True,
        "sync_supported": False,
        "ims_status": 500,
    }
    page = browser.get("/faults")
    assert 'value="503=0.5, 429=0.25"' in page.html
    assert 'value="12.5"' in page.html
    assert '<option value="after" selected>' in page.html
    assert '<option value="no" selected>' in page.html
    for path in SECTIONS:
        assert "Faults are on for all inlets: latency_ms: 12.5 rate: 503=0.5, 429=0.25 " in browser.get(path).text

    # a field made empty switches its fault off; a single inlet has switches of its own
    browser.post("/faults", {"latency_ms": "3", "rate": ""})
    answer = browser.post("/faults", {"inlet": local_inlet["inletId"], "rate": "503=1"})
    assert answer.headers["location"] == f"/faults?inlet={local_inlet['inletId']}"
    assert emulator.local("GET", "faults") == {
        "latency_ms": 3,
        "inlets": {local_inlet["inletId"]: {"rate": {"503": 1}}},
    }
    assert client.single(local_inlet, make_message(local_inlet, "x")).status_code == 503
    assert "token_ttl_s" not in browser.get(answer.headers["location"]).html

    assert browser.post("/faults/clear", {}).status_code == 303
    assert emulator.local("GET", "faults") == {}
    assert "Faults are on" not in browser.get("/").text


def test_an_outage_goes_on_when_other_switches_change(
    browser: Browser, emulator: Emulator, client: Client, local_inlet: dict[str, Any]
) -> None:
    def status() -> int:
        return client.single(local_inlet, make_message(local_inlet, "x")).status_code

    browser.post("/faults", {"outage_s": "1000"})
    began = emulator.local("GET", "faults")["outage_until"]
    browser.post("/faults", {"retry_after": "5"})
    assert emulator.local("GET", "faults")["outage_until"] == began
    assert re.search(r"outage: \d+ s more", browser.get("/").text)
    assert status() == 503
    browser.post("/faults", {"outage_s": "0"})
    assert status() == 200
    assert "Faults are on" not in browser.get("/").text


@pytest.mark.parametrize(
    ("form", "message"),
    [
        ({"latency_ms": "-1"}, "greater than or equal to 0"),
        ({"latency_ms": "inf"}, "finite number"),
        ({"latency_ms": "soon"}, "valid number"),
        ({"rate": "503"}, "such as 429=0.1, 503=0.05; not '503'"),
        ({"rate": "503=x"}, "not '503=x'"),
        ({"rate": "200=0.1"}, "not an HTTP error status"),
        ({"rate": "429=0.7, 503=0.7"}, "add up to more than 1"),
        ({"dialect": "other"}, "'status' or 'statusCode'"),
        ({"token_milliseconds": "maybe"}, "valid boolean"),
        ({"seed": "9" * 30}, "less than"),
        ({"retry_after": "a\r\nb"}, "pattern"),
        ({"unknown": "1"}, "unknown: Extra inputs are not permitted"),
    ],
)
def test_what_cannot_be_used_is_said_and_changes_nothing(
    browser: Browser, emulator: Emulator, form: dict[str, str], message: str
) -> None:
    emulator.faults(latency_ms=1)
    page = Page(browser.post("/faults", form))
    assert page.status == 400
    assert message in page.text
    assert emulator.local("GET", "faults") == {"latency_ms": 1}


@pytest.mark.parametrize("origin", ["http://evil.example", "null", "http://127.0.0.1:1", ""])
def test_another_site_changes_nothing(browser: Browser, emulator: Emulator, client: Client, origin: str) -> None:
    emulator.faults(latency_ms=1)
    assert browser.post("/faults", {"rate": "503=1"}, Origin=origin).status_code == 403
    assert browser.post("/faults/clear", {}, Origin=origin).status_code == 403
    assert browser.post("/faults/preset", {"preset": "slow"}, Origin=origin).status_code == 403
    # a form may send JSON as text/plain without asking first
    url, form = f"{emulator.url}/__local/faults", '{"latency_ms": 5}'
    answer = client.session.post(url, data=form, headers={"Origin": origin}, timeout=PATIENCE_SECONDS)
    assert answer.status_code == 403
    assert emulator.local("GET", "faults") == {"latency_ms": 1}


def test_an_endless_form_is_refused(browser: Browser, emulator: Emulator) -> None:
    assert browser.post("/faults", {"rate": "x" * 2_000_000}).status_code == 403
    assert emulator.local("GET", "faults") == {}


@pytest.mark.parametrize("path", ["/datasets/x", "/schemas/x", "/schemas/x?inlet=y", "/faults?inlet=x", "/inlets/x"])
def test_unknown_ids_have_a_page_too(browser: Browser, path: str) -> None:
    page = browser.get(path)
    assert (page.status, "Not found" in page.text) == (404, True)


def test_an_address_without_a_page_has_one_for_people_and_an_error_for_programs(browser: Browser) -> None:
    assert browser.fetch("/nowhere").json()["title"] == "NotFoundError"
    asked = browser.fetch("/no<b>where", Accept="text/html,application/xhtml+xml,*/*;q=0.8")
    page = Page(asked)
    assert page.status == 404
    assert "There is no page at /no<b>where" in page.text
    assert page.link("Events") == "/events"
    for path in ("/data/foundation/catalog/dataSets", "/collection/x"):
        assert "application/" in browser.fetch(path, Accept="application/json").headers["content-type"]


def test_faults_of_an_inlet_that_was_deleted(browser: Browser) -> None:
    assert browser.post("/faults", {"inlet": "gone", "rate": "503=1"}).status_code == 404
    assert browser.post("/faults/preset", {"inlet": "gone", "preset": "slow"}).status_code == 404
    assert browser.post("/faults/preset", {"preset": "unknown"}).status_code == 404


def test_a_preset_is_switched_on_and_off_by_its_button_and_leaves_the_others(
    browser: Browser, emulator: Emulator, client: Client, local_inlet: dict[str, Any]
) -> None:
    def press(preset: str, inlet: str = "") -> str:
        answer = browser.post("/faults/preset", {"preset": preset, "inlet": inlet}, Origin=emulator.url)
        assert answer.status_code == 303
        return browser.fetch(answer.headers["location"]).text

    def is_pressed(html: str, preset: str) -> bool:
        return f'value="{preset}" aria-pressed="true"' in html

    assert is_pressed(press("flaky"), "flaky")
    html = press("tokens")
    assert is_pressed(html, "flaky")
    assert is_pressed(html, "tokens")
    assert emulator.local("GET", "faults") == {"rate": {"500": 0.1, "503": 0.1}, "token_ttl_s": 30}
    assert not is_pressed(press("flaky"), "flaky")
    assert emulator.local("GET", "faults") == {"token_ttl_s": 30}
    press("tokens")

    html = press("down", local_inlet["inletId"])
    assert is_pressed(html, "down")
    assert not is_pressed(html, "gone")
    assert 'value="tokens"' not in html  # tokens know no inlets
    assert client.single(local_inlet, make_message(local_inlet, "x")).status_code == 503
    press("down", local_inlet["inletId"])
    assert client.single(local_inlet, make_message(local_inlet, "x")).status_code == 200
    assert is_pressed(press("gone"), "gone")
    html = press("down")
    assert is_pressed(html, "down")
    assert not is_pressed(html, "gone")
    press("down")
    assert "Faults are on" not in browser.get("/").text


def test_presets_of_kinesis(browser: Browser, emulator: Emulator) -> None:
    def press(preset: str) -> str:
        assert browser.post("/streams/preset", {"preset": preset}, Origin=emulator.url).status_code == 303
        return browser.fetch("/streams").text

    emulator.local("POST", "kinesis/faults", {"seed": 3})
    for preset, each in fault_presets.OF_KINESIS.items():
        assert f'value="{preset}" aria-pressed="true"' in press(preset), preset
        assert each.switches.items() <= emulator.local("GET", "kinesis/faults").items()
        assert 'aria-pressed="true"' not in press(preset), preset
    press("down")
    assert emulator.local("GET", "kinesis/faults")["outage_until"] > 0
    press("throttled")
    press("throttled")
    assert emulator.local("GET", "kinesis/faults")["outage_until"] > 0
    assert browser.post("/streams/clear", {}).status_code == 303
    assert emulator.local("GET", "kinesis/faults") == {}
    assert browser.post("/streams/preset", {"preset": "unknown"}).status_code == 404
    for path in ("/streams/preset", "/streams/clear"):
        assert browser.post(path, {"preset": "down"}, Origin="http://evil.example").status_code == 403
    assert emulator.local("GET", "kinesis/faults") == {}


@pytest.mark.parametrize("preset", fault_presets.PRESETS)
def test_every_preset_can_be_switched_on(browser: Browser, emulator: Emulator, preset: str) -> None:
    browser.post("/faults/preset", {"preset": preset})
    assert "Faults are on for all inlets: " in browser.get("/").text
    browser.post("/faults/preset", {"preset": preset})
    assert "Faults are on" not in browser.get("/").text


def test_no_secrets(browser: Browser, platform: Platform) -> None:
    token = platform.headers["Authorization"].removeprefix("Bearer ")
    platform.emulator.local("POST", "clients", {"client_id": "other", "client_secret": "hush-hush"})
    platform.connection()
    for path in SECTIONS:
        html = browser.get(path).html
        assert [secret for secret in (token, CLIENT_SECRET, "hush-hush") if secret in html] == []


def test_paused_pages_do_not_reload_themselves(browser: Browser) -> None:
    live = browser.get("/events")
    assert "data-refresh-s" in live.html
    assert '<noscript><meta http-equiv="refresh"' in live.html
    paused = browser.get(live.link("pause"))
    assert "refresh" not in paused.html
    assert paused.link("go on") == "/events"
