"""The page about audiences and destinations, and the memberships on the page of a profile."""

from __future__ import annotations

import pytest

from testing.services.kinesis import Kinesis
from tests.emulator.destination import ACCESS
from tests.emulator.export.scenario import Members
from tests.emulator.test_page import HOSTILE, Browser, Page


@pytest.fixture
def members(kinesis: Kinesis) -> Members:
    return Members(kinesis)


@pytest.fixture
def browser(members: Members) -> Browser:
    return Browser(members.kinesis, members.client)


def row(page: Page, text: str) -> str:
    """Return the row of a table that holds this text."""
    (found,) = [each for each in page.html.split("<tr>") if text in each]
    return found


def test_members_and_what_was_sent(members: Members, browser: Browser) -> None:
    stream = members.kinesis.create_stream()
    gold = members.audience('TENANT.tier = "gold"')
    destination = members.destination(stream, gold, attributes=("city",))
    members.record("a@x.de", tier="gold")
    members.record("b@x.de", tier="gold")
    members.record("b@x.de", tier="silver")
    members.exported(stream)
    members.kinesis.switch(record_rate={"InternalFailure": 1})
    members.record("c@x.de", tier="gold")
    members.settle()
    page = browser.get("/audiences")
    assert '<td data-label="Members" class="number"><div>2</div>' in row(page, gold)
    shown = row(page, destination.flow_id)
    assert stream in shown
    assert f"{members.tenant}.city" in shown
    assert '<td data-label="Queued" class="number"><div>4</div>' in shown
    assert '<td data-label="Sent" class="number"><div>3</div>' in shown
    assert "InternalFailure" in shown
    assert not [secret for secret in (ACCESS["accessKeyId"], ACCESS["secretKey"]) if secret in page.html]
    profile = browser.get("/profiles?namespace=email&id=b@x.de")
    assert "exited" in row(profile, gold)
    assert "left the audience " in profile.text


def test_names_and_rules_are_escaped(members: Members, browser: Browser) -> None:
    members.audience("TENANT.tier.contains(" + '"<script>alert(1)</script>")', HOSTILE)
    page = browser.get("/audiences")
    assert " ".join(HOSTILE.split()) in page.text
    assert "img" not in page.elements
    assert page.elements.count("script") <= 1
