"""The report of a run, as somebody opens it: in a real browser, from a file, without a network."""

from __future__ import annotations

import re
import signal
from collections.abc import Iterator
from pathlib import Path

import pytest
from selenium import webdriver
from selenium.webdriver.common.by import By
from selenium.webdriver.common.keys import Keys

from samples.loyalty import generate
from testing.services.browser import chromium
from testing.services.process import PATIENCE_SECONDS, wait_for
from testing.services.pytest_support import require
from tests.e2e.scenario import Scenario

pytestmark = [pytest.mark.kafka, pytest.mark.browser]

HOSTILE = "</td></script><img src='http://127.0.0.1:9/x' onerror='document.title=1'><script>document.title=2</script>"


@pytest.fixture(scope="module")
def driver() -> Iterator[webdriver.Chrome]:
    with require(chromium()) as started:
        yield started


def opened(driver: webdriver.Chrome, path: Path) -> str:
    """Open the page at the widths of a phone and of a desktop, light and dark; return its text."""
    for width, scheme in ((400, "dark"), (1280, "light")):
        size = {"width": width, "height": 900, "deviceScaleFactor": 1, "mobile": width == 400}
        driver.execute_cdp_cmd("Emulation.setDeviceMetricsOverride", size)
        features = [{"name": "prefers-color-scheme", "value": scheme}]
        driver.execute_cdp_cmd("Emulation.setEmulatedMedia", {"features": features})
        driver.get(path.as_uri())
        assert driver.execute_script("return document.documentElement.scrollWidth") <= width
        light = driver.execute_script("return getComputedStyle(document.body).backgroundColor == 'rgb(255, 255, 255)'")
        assert light == (scheme == "light")
    assert driver.execute_script("return performance.getEntriesByType('resource').length") == 0
    assert list(driver.get_log("browser")) == []  # type: ignore[no-untyped-call]
    return driver.find_element(By.TAG_NAME, "body").text


def test_it_has_the_account_the_plots_the_dead_letters_and_the_options(
    scenario: Scenario, driver: webdriver.Chrome
) -> None:
    page = scenario.folder / "run.html"
    scenario.produce(generate(5_000, broken_share=0.04))
    # The good one has a value that must not show; the ticket number is a name that may be data.
    private = b'{"_id":"x","person":{"name":"Zaphod Beeblebrox"},"555-0199":1,"timestamp":"never"}'
    scenario.broker.produce(scenario.topics["events"], [(None, private, [("trace", b"tr-4711")], None)])
    finished = scenario.run(report_file=str(page), aep_source_name=HOSTILE)
    assert finished.code == 0, finished.output
    assert not list(page.parent.glob("*.unfinished"))

    text = opened(driver, page)
    assert driver.title == "Kafka to AEP: finished"
    account = finished.summary
    for number in (account["read"], account["accepted"], sum(account["dead_lettered"].values())):
        assert f"{number:,}" in text
    for code, number in account["dead_lettered"].items():
        assert re.search(rf"^{code} {number:,} ", text, re.MULTILINE), code
    plots = driver.find_elements(By.TAG_NAME, "figure")
    titles = [plot.find_element(By.TAG_NAME, "b").text for plot in plots]
    assert titles == ["Throughput, events/s", "Latency", "Requests in flight", "Lag, records"]
    for plot in plots[:3]:
        assert [line for line in plot.find_elements(By.TAG_NAME, "path") if line.get_attribute("d")]
    plots[0].send_keys(Keys.ARROW_LEFT)
    said = plots[0].find_element(By.TAG_NAME, "output").text
    assert re.search(r": read [\d,.]+, accepted [\d,.]+, refused [\d,.]+", said)

    source = page.read_text()
    assert "Zaphod" not in source
    assert "555-0199" not in source
    assert "tr-4711" not in source
    assert '"name": "string"' in driver.execute_script("return document.body.textContent")
    assert "options.yaml:" in text
    assert HOSTILE in text
    assert "Fix the producer. If the topic holds Avro" in source  # what to do about the code json


def test_a_run_that_is_stopped_and_one_that_fails_have_one_too(scenario: Scenario, driver: webdriver.Chrome) -> None:
    page = scenario.folder / "run.html"
    pipeline = scenario.start(kafka_stop_at="never", report_file=str(page))
    scenario.produce(generate(100))
    scenario.wait_until_accepted(100)
    pipeline.signal(signal.SIGTERM)
    wait_for(lambda: not pipeline.running, PATIENCE_SECONDS, "the end of the run")
    assert "stopped" in opened(driver, page)

    # Found out while it runs, then before it begins.
    for inlet, words in (("0" * 64, "404"), ("?", "inlet_url")):
        routes = scenario.routes()
        for route in routes.values():
            route["inlet_url"] = f"{scenario.emulator.url}/collection/{inlet}"
        scenario.produce(generate(10))
        finished = scenario.run(
            report_file=str(page), routes_file=str(scenario.write_routes(routes, "wrong.yaml")), kafka_group_id="other"
        )
        assert finished.code == 2, finished.output
        text = opened(driver, page)
        assert driver.title == "Kafka to AEP: failed"
        assert words in driver.find_element(By.CLASS_NAME, "notice").text, text
