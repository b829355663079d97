"""What of Platform's objects fits a route to AEP."""

from __future__ import annotations

import pytest

from aep.platform.catalog import DataSet
from aep.platform.inlets import Inlet
from pipelines.destinations.aep.platform_checks import Known, dataset_found, inlet_found, major_of
from tests.transforms.examples import route
from transforms.aep.inlet import Auth, as_inlet


@pytest.mark.parametrize(
    ("required", "auth", "state"),
    [
        (False, "none", "ok"),
        (True, "none", "wrong"),
        (True, "token", "ok"),
        (True, "oauth", "ok"),
        (False, "token", "warning"),
    ],
)
def test_authentication_is_what_the_inlet_requires(required: bool, auth: Auth, state: str) -> None:
    known = Known(Inlet("abc", "https://h/collection/abc", "n", "s", "xdm", required), "ACME@AdobeOrg", "")
    assert inlet_found(known, as_inlet(route(auth=auth).destination)).state == state


@pytest.mark.parametrize(
    ("content_type", "state"),
    [
        ("application/vnd.adobe.xed-full+json;version=1", "ok"),
        ("application/vnd.adobe.xed+json; version=1.0", "ok"),
        ("application/vnd.adobe.xed-full+json;1", "ok"),
        ("", "ok"),
        ("application/vnd.adobe.xed-full+json;version=2", "wrong"),
    ],
)
def test_a_data_sets_version_is_the_routes(content_type: str, state: str) -> None:
    to = as_inlet(route().destination)
    dataset = DataSet("d", "n", str(to.schema_id), content_type, {}, {})
    assert dataset_found(dataset, to).state == state
    assert major_of(content_type) in ("", "1", "2")
