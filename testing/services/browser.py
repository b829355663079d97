"""A headless Chromium, driven through chromedriver. Both are the machine's own: nothing is downloaded."""

from __future__ import annotations

import os
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from unittest.mock import patch

from selenium import webdriver
from selenium.webdriver.chrome.service import Service

from testing.services.process import ServiceUnavailable

_NAMES = {"Chromium": ("chromium", "chromium-browser", "google-chrome"), "chromedriver": ("chromedriver",)}
_ARGUMENTS = (
    "--headless=new",
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--disable-dev-shm-usage",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--no-proxy-server",
    "--window-size=1280,900",
)


def _command(what: str) -> str:
    found = next((path for path in map(shutil.which, _NAMES[what]) if path), None)
    if found is None:
        raise ServiceUnavailable(f"no {what} found: install Debian's chromium and chromium-driver, or the like")
    return found


@contextmanager
def chromium() -> Iterator[webdriver.Chrome]:
    """Run a browser with an empty profile, removed at the end.

    Raises:
        ServiceUnavailable: This machine has no Chromium, or no chromedriver.
    """
    options = webdriver.ChromeOptions()
    options.binary_location = _command("Chromium")
    service = Service(_command("chromedriver"))
    with tempfile.TemporaryDirectory(prefix="chromium-", ignore_cleanup_errors=True) as profile:
        for argument in (*_ARGUMENTS, f"--user-data-dir={profile}"):
            options.add_argument(argument)
        # selenium neither fetches a driver of its own nor asks a proxy for the one on this machine
        with patch.dict(os.environ, {"SE_OFFLINE": "true", "no_proxy": "localhost,127.0.0.1"}):
            driver = webdriver.Chrome(options=options, service=service)
            try:
                yield driver
            finally:
                driver.quit()
