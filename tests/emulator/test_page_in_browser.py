"""The page in a real browser: what a person clicks, and what happens without clicking."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any
from urllib.parse import quote

import pytest
from selenium import webdriver
from selenium.common.exceptions import WebDriverException
from selenium.webdriver import ActionChains
from selenium.webdriver.common.by import By
from selenium.webdriver.common.keys import Keys
from selenium.webdriver.remote.webelement import WebElement
from selenium.webdriver.support.ui import Select

from testing.services.browser import chromium
from testing.services.emulator import Emulator
from testing.services.process import PATIENCE_SECONDS, wait_for
from testing.services.pytest_support import require
from tests.emulator.conftest import SCHEMA, Client, make_message
from tests.emulator.management import EVENT, Platform

pytestmark = pytest.mark.browser

SECTIONS = ("/", "/events", "/datasets", "/schemas", "/connections", "/profiles", "/audiences", "/faults")
HOSTILE = "<img src=x onerror='document.title=`hacked`'><script>document.title='hacked'</script>"
LONG = "long-" * 60


@pytest.fixture(scope="module")
def driver() -> Iterator[webdriver.Chrome]:
    with require(chromium()) as started:
        yield started


class Reader:
    """Someone in front of the browser."""

    def __init__(self, driver: webdriver.Chrome, emulator: Emulator) -> None:
        self.driver = driver
        self._url = emulator.url

    def go(self, path: str) -> None:
        self.driver.get(self._url + path)

    def click(self, text: str) -> None:
        """Click on the first button, link or summary with this text in it; the page may just be replacing it."""
        what = f'//*[(self::a or self::button or self::summary) and contains(., "{text}")]'

        def clicked() -> bool:
            try:
                self.driver.find_element(By.XPATH, what).click()
            except WebDriverException:  # it has several for an element that is just being replaced
                return False
            return True

        wait_for(clicked, PATIENCE_SECONDS, f"a click on {text!r}")

    def type(self, field: str, text: str) -> None:
        """Type into a field; the page may just be replacing it."""

        def typed() -> bool:
            try:
                self.field(field).send_keys(text)
            except WebDriverException:
                return False
            return True

        wait_for(typed, PATIENCE_SECONDS, f"the field {field} to take {text!r}")

    def field(self, name: str) -> WebElement:
        """Return a field of the form, once the page has it."""
        return wait_for(lambda: self.driver.find_elements(By.ID, name), PATIENCE_SECONDS, f"the field {name}")[0]

    @property
    def text(self) -> str:
        """What is to be read now: nothing between two pages."""
        try:
            return self.driver.find_element(By.TAG_NAME, "body").text
        except WebDriverException:  # it has several for an element that is just being replaced
            return ""

    def sees(self, text: str) -> None:
        """Wait until a text appears."""
        wait_for(lambda: text in self.text, PATIENCE_SECONDS, f"{text!r} on the page")

    def no_longer_sees(self, text: str) -> None:
        """Wait until there is a page without a text."""

        def gone() -> bool:
            shown = self.text
            return "Times are in UTC" in shown and text not in shown

        wait_for(gone, PATIENCE_SECONDS, f"{text!r} to go from the page")


@pytest.fixture
def reader(driver: webdriver.Chrome, emulator: Emulator) -> Reader:
    return Reader(driver, emulator)


def log_of(driver: webdriver.Chrome) -> list[dict[str, Any]]:
    """Return what the browser's console has got since it was read last."""
    return list(driver.get_log("browser"))  # type: ignore[no-untyped-call]


def status_of(client: Client, inlet: dict[str, Any]) -> int:
    return client.single(inlet, make_message(inlet, "x")).status_code


def test_events_appear_without_reload_and_unfolded_ones_stay_unfolded(
    reader: Reader, client: Client, inlet: dict[str, Any]
) -> None:
    reader.go("/events")
    reader.driver.execute_script("window.sameDocument = true")
    client.single(inlet, make_message(inlet, "first"))
    reader.sees("first")
    reader.click("first")
    reader.sees('"points": 7')
    client.single(inlet, make_message(inlet, {"_id": "second", "timestamp": "yesterday"}))
    reader.sees("[yesterday] is not a valid date-time")
    reader.sees('"points": 7')
    assert reader.driver.execute_script("return window.sameDocument")


def test_events_are_filtered(reader: Reader, client: Client, inlet: dict[str, Any]) -> None:
    for number, kind in enumerate(["commerce.purchases", "web.visits"]):
        entity = {"_id": f"filtered-{number}", "timestamp": "2026-01-02T03:04:05Z", "eventType": kind}
        client.single(inlet, make_message(inlet, entity))
    reader.go("/events")
    reader.sees("filtered-1")
    reader.type("type", "PURCHASES")
    reader.click("Filter")
    reader.no_longer_sees("filtered-1")
    reader.sees("filtered-0")
    reader.click("show all")
    reader.sees("filtered-1")


def test_a_text_that_turns_its_direction_turns_nothing_else(
    reader: Reader, client: Client, inlet: dict[str, Any]
) -> None:
    client.single(inlet, make_message(inlet, "\u202eturned"))
    reader.go("/events")
    reader.sees("turned")
    style = "return getComputedStyle(document.querySelector('summary code')).unicodeBidi"
    assert reader.driver.execute_script(style) == "isolate"


def test_counts_go_up_without_reload_until_paused(reader: Reader, client: Client, inlet: dict[str, Any]) -> None:
    reader.go("/")
    client.batch(inlet, [make_message(inlet, f"m{number}") for number in range(1234)])
    reader.sees("accepted\n1,234")
    reader.click("pause")
    reader.sees("paused")
    assert reader.driver.find_elements(By.CSS_SELECTOR, "[data-refresh-s]") == []
    reader.click("go on")
    client.single(inlet, make_message(inlet, "m0"))
    reader.sees("accepted\n1,235")
    reader.sees("duplicates\n1\n")


def test_the_overview_draws_what_happens(driver: webdriver.Chrome, client: Client) -> None:
    with Emulator() as emulator:  # of its own: what other tests have sent in the last minutes is drawn too
        inlet = emulator.create_inlet()
        reader = Reader(driver, emulator)
        reader.go("/")
        client.batch(inlet, [make_message(inlet, f"drawn-{number}") for number in range(500)])
        reader.sees("most: 500")
        height = "return document.querySelector('.chart .line').getBBox().height"
        assert reader.driver.execute_script(height) > 40


def test_a_silent_emulator_is_noticed(driver: webdriver.Chrome) -> None:
    with Emulator() as emulator:
        reader = Reader(driver, emulator)
        reader.go("/events")
        emulator.stop()
        reader.sees("the emulator does not answer")
        emulator.start()
        reader.no_longer_sees("does not answer")
        reader.sees("live")


def test_events_appear_without_javascript(reader: Reader, client: Client, inlet: dict[str, Any]) -> None:
    reader.driver.execute_cdp_cmd("Emulation.setScriptExecutionDisabled", {"value": True})
    try:
        reader.go("/events")
        client.single(inlet, make_message(inlet, "without-script"))
        reader.sees("without-script")
    finally:
        reader.driver.execute_cdp_cmd("Emulation.setScriptExecutionDisabled", {"value": False})


def test_faults_by_clicking(reader: Reader, client: Client, inlet: dict[str, Any]) -> None:
    assert status_of(client, inlet) == 200
    reader.go("/")
    reader.click("Faults")
    reader.type("rate", "503=1")
    Select(reader.field("dialect")).select_by_visible_text("statusCode")
    reader.click("Apply")
    reader.sees("Faults are on")
    assert status_of(client, inlet) == 503
    assert reader.field("rate").get_attribute("value") == "503=1"
    reader.click("Overview")
    reader.sees("503 × 1")
    reader.click("Switch all off")
    reader.no_longer_sees("Faults are on")
    assert status_of(client, inlet) == 200


def test_a_preset_by_clicking(reader: Reader, client: Client, inlet: dict[str, Any]) -> None:
    reader.go("/faults")
    reader.click("AEP is down for a minute")
    reader.sees("Faults are on")
    assert status_of(client, inlet) == 503
    reader.click("AEP is down for a minute")
    reader.no_longer_sees("Faults are on")
    assert status_of(client, inlet) == 200


def test_an_event_is_copied(reader: Reader, client: Client, inlet: dict[str, Any]) -> None:
    reader.driver.execute_cdp_cmd(
        "Browser.grantPermissions", {"permissions": ["clipboardReadWrite", "clipboardSanitizedWrite"]}
    )
    client.single(inlet, make_message(inlet, "to-be-copied"))
    reader.go("/events?live=no")
    reader.click("to-be-copied")
    reader.click("copy")
    reader.sees("copied")
    read = "navigator.clipboard.readText().then(arguments[0])"
    assert '"_id": "to-be-copied"' in reader.driver.execute_async_script(read)


def test_whoever_goes_by_keyboard_stays_where_he_is(reader: Reader, client: Client, inlet: dict[str, Any]) -> None:
    def focused() -> str:
        return str(
            reader.driver.execute_script(
                "const at = document.activeElement; return (at.closest('.entry')?.textContent ?? '') + at.outerHTML"
            )
        )

    def go_on(times: int) -> None:
        for _ in range(times):
            ActionChains(reader.driver).send_keys(Keys.TAB).perform()

    client.single(inlet, make_message(inlet, "older"))
    reader.go("/events")
    reader.driver.execute_script("document.querySelector('summary').focus()")
    go_on(1)
    before = focused()
    assert "older" in before
    assert "/datasets/" in before.rpartition("<a")[2]
    client.single(inlet, make_message(inlet, "newer"))
    reader.sees("newer")
    assert focused() == before

    reader.go("/")
    reader.driver.execute_script("document.querySelector('main td a').focus()")
    before = focused()
    client.single(inlet, make_message(inlet, "newest"))
    wait_for(lambda: focused() != before or "3" in _accepted(reader), PATIENCE_SECONDS, "the count of three")
    assert focused() == before


def _accepted(reader: Reader) -> str:
    found = re.search(r"^accepted\n(.*)$", reader.text, re.MULTILINE)
    return found[1] if found else ""


def test_an_unknown_address(reader: Reader) -> None:
    reader.go("/nowhere")
    reader.sees("There is no page at /nowhere")
    reader.click("Faults")
    reader.sees("AEP is slow")


def test_what_cannot_be_used_is_said_at_its_field(reader: Reader) -> None:
    reader.go("/faults")
    reader.type("latency_ms", "soon")
    reader.click("Apply")
    reader.sees("Input should be a valid number")
    assert reader.field("latency_ms").get_attribute("value") == "soon"
    assert "Faults are on" not in reader.text


def test_a_form_of_another_site_switches_nothing_on(reader: Reader, emulator: Emulator) -> None:
    form = f"<form method=post action='{emulator.url}/faults'><input name=rate value='503=1'><button>Go</button></form>"
    reader.driver.get("data:text/html," + quote(form))
    reader.click("Go")
    reader.sees("came from another site")
    assert emulator.local("GET", "faults") == {}


def test_a_profile_and_its_events(reader: Reader, platform: Platform) -> None:
    group = platform.field_group(EVENT, title="Visit", memberId={"type": "string"})
    schema = platform.schema(EVENT, group, title="Visits")
    platform.identity(schema, f"/{platform.tenant}/memberId", "Loyalty")
    dataset = platform.dataset(schema)
    entity = {"_id": "visit-1", "timestamp": "2026-01-02T03:04:05Z", platform.tenant: {"memberId": "jane"}}
    url = platform.inlet_url(platform.connection())
    assert platform.call("POST", url, platform.message(schema, dataset, entity)).status_code == 200
    reader.go("/datasets")
    reader.sees(dataset)
    wait_for(lambda: platform.records(dataset), PATIENCE_SECONDS, "the record")
    reader.go("/profiles")
    reader.type("namespace", "LOYALTY")
    reader.type("id", "jane")
    reader.click("Look up")
    reader.sees("Timeline: 1 event")
    reader.click("visit-1")
    reader.sees('"memberId": "jane"')


@pytest.mark.parametrize("width", [1280, 390])
def test_hostile_names_run_nothing_and_nothing_is_clipped(
    reader: Reader, emulator: Emulator, client: Client, width: int
) -> None:
    driver = reader.driver
    hostile = emulator.create_inlet(name=HOSTILE, org_id=f"{LONG}@AdobeOrg", schema={**SCHEMA, "title": HOSTILE})
    client.batch(hostile, [make_message(hostile, {"_id": f"{HOSTILE}{LONG}", "timestamp": HOSTILE})])
    emulator.failed(hostile["inletId"])
    emulator.faults(inlet=hostile["inletId"], retry_after=HOSTILE)
    driver.execute_cdp_cmd(
        "Emulation.setDeviceMetricsOverride",
        {"width": width, "height": 800, "deviceScaleFactor": 1, "mobile": width < 500},
    )
    try:
        reader.go("/datasets")
        links = driver.find_elements(By.XPATH, f'//a[contains(@href, "{hostile["datasetId"]}")]')
        paths = [link.get_dom_attribute("href") or "" for link in links]
        assert len(paths) == 1
        log_of(driver)  # what the tests before have left there
        paths += [
            f"/schemas/{quote(SCHEMA['$id'], safe='')}?inlet={hostile['inletId']}",
            f"/inlets/{hostile['inletId']}",
        ]
        for path in (*SECTIONS, *paths):
            reader.go(path)
            reader.sees(HOSTILE)  # on every page, for it is among the faults
            assert driver.title != "hacked", path
            assert driver.find_elements(By.TAG_NAME, "img") == [], path
            # chromedriver's log has what the content security policy refused
            assert log_of(driver) == [], path
            assert driver.execute_script("return document.documentElement.scrollWidth") <= width, path
    finally:
        driver.execute_cdp_cmd("Emulation.clearDeviceMetricsOverride", {})


def test_dark_where_the_reader_wants_it_dark(reader: Reader) -> None:
    def background(scheme: str) -> str:
        features = [{"name": "prefers-color-scheme", "value": scheme}]
        reader.driver.execute_cdp_cmd("Emulation.setEmulatedMedia", {"features": features})
        reader.go("/")
        return reader.driver.find_element(By.TAG_NAME, "body").value_of_css_property("background-color")

    try:
        assert background("light") == "rgba(255, 255, 255, 1)"
        assert background("dark") == "rgba(20, 24, 29, 1)"
    finally:
        reader.driver.execute_cdp_cmd("Emulation.setEmulatedMedia", {"features": []})
