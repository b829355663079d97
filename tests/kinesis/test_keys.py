"""Partition keys: which identity, what a pointer finds, and what becomes of keys that are too long."""

from __future__ import annotations

from hashlib import sha256
from typing import Any

import pytest

from kinesis.keys import PartitionKeys
from kinesis.limits import Fault

PROFILE = {
    "person": {"name": {"firstName": "John"}, "luckyNumbers": [7, 8]},
    "loyalty/tier": {"~": "gold"},
    "identityMap": {
        "ecid": [{"id": "1457"}, {"id": "6647"}],
        "email_lc_sha256": [{"id": "6553"}, {"id": "66ba", "primary": True}],
        "Phone": [{"id": "+49"}],
    },
}


@pytest.mark.parametrize(
    ("namespaces", "key"),
    [
        (("ECID", "Email"), "1457"),
        (("EMAIL_LC_SHA256", "ECID"), "66ba"),  # the primary one of several
        (("phone",), "+49"),
        (("CRMID",), "1457"),  # none of them: by name
        ((), "1457"),
    ],
)
def test_the_first_identity_of_the_namespaces(namespaces: tuple[str, ...], key: str) -> None:
    assert PartitionKeys("identity", namespaces).make(PROFILE, None) == key


@pytest.mark.parametrize(
    "identity_map",
    [None, {}, [], {"ecid": []}, {"ecid": {}}, {"ecid": [{"id": ""}]}, {"ecid": [{"id": 7}]}, {"ecid": ["1457"]}],
)
def test_a_profile_without_identity_has_no_key(identity_map: Any) -> None:
    found = PartitionKeys("identity", ("ECID",)).make({"identityMap": identity_map}, b"key")
    assert isinstance(found, Fault)
    assert found.code == "bad_key"


def test_ten_thousand_identities() -> None:
    many = {"identityMap": {"ecid": [{"id": str(number)} for number in range(10_000)]}}
    assert PartitionKeys("identity", ("ECID",)).make(many, None) == "0"


@pytest.mark.parametrize(
    ("pointer", "key"),
    [("/person/name/firstName", "John"), ("/person/luckyNumbers/1", "8"), ("/loyalty~1tier/~0", "gold")],
)
def test_the_field_of_a_pointer(pointer: str, key: str) -> None:
    assert PartitionKeys(pointer).make(PROFILE, None) == key


@pytest.mark.parametrize("pointer", ["/person", "/person/age", "/person/luckyNumbers/2", "/person/luckyNumbers/x"])
def test_a_field_that_is_none_or_no_text(pointer: str) -> None:
    found = PartitionKeys(pointer).make(PROFILE, None)
    assert isinstance(found, Fault)
    assert pointer in found.message


def test_the_key_of_the_kafka_record() -> None:
    keys = PartitionKeys("kafka_key")
    assert keys.make({}, "é".encode()) == "é"
    for none in (None, b"", b"\xff"):
        assert isinstance(keys.make({}, none), Fault)


def test_random_keys_differ() -> None:
    keys = PartitionKeys("random")
    assert keys.make({}, None) != keys.make({}, None)


@pytest.mark.parametrize("character", ["k", "é", "🙂"])
def test_keys_that_are_too_long_become_their_hash(character: str) -> None:
    keys = PartitionKeys("kafka_key")
    fits, longer = character * 256, character * 257
    assert keys.make({}, fits.encode()) == fits
    assert keys.make({}, longer.encode()) == sha256(longer.encode()).hexdigest()


def test_identities_can_be_kept_out_of_keys() -> None:
    keys = PartitionKeys("identity", ("ECID",), hashed=True)
    assert keys.make(PROFILE, None) == sha256(b"1457").hexdigest()


def test_half_a_surrogate_pair_is_no_key() -> None:
    assert isinstance(PartitionKeys("/a", hashed=True).make({"a": "\ud83d"}, None), Fault)
