"""Partition keys: which identity, what a pointer finds, and what becomes of keys that are too long."""

from __future__ import annotations

from hashlib import sha256
from typing import Any

import pytest

from kinesis.keys import KeyMaker, PartitionKeys
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


def maker(source: str, identities: tuple[str, ...] = (), *, hashed: bool = False) -> KeyMaker:
    return KeyMaker(PartitionKeys(source, identities, hashed))


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
    assert maker("identity", namespaces)(PROFILE, None) == key


@pytest.mark.parametrize(
    "identity_map",
    [None, {}, [], {"ecid": []}, {"ecid": {}}, {"ecid": [{"id": ""}]}, {"ecid": [{"id": 7}]}, {"ecid": ["1457"]}],
)
def test_a_profile_without_identity_has_no_key(identity_map: Any) -> None:
    found = maker("identity", ("ECID",))({"identityMap": identity_map}, b"key")
    assert isinstance(found, Fault)
    assert found.code == "bad_key"


def test_namespaces_without_regard_to_case_in_records_that_differ() -> None:
    keys = maker("identity", ("ECID", "Email"))
    maps = [{"email": "a", "Ecid": "b"}, {"EMAIL": "c"}, {"zz": "d", "crm": "e"}, {"Ecid": "f", "email": "g"}]
    found = [keys({"identityMap": {name: [{"id": one}] for name, one in each.items()}}, None) for each in maps * 2]
    assert found == ["b", "c", "e", "f"] * 2


def test_ten_thousand_identities() -> None:
    many = {"identityMap": {"ecid": [{"id": str(number)} for number in range(10_000)]}}
    assert maker("identity", ("ECID",))(many, None) == "0"


@pytest.mark.parametrize(
    ("pointer", "key"),
    [("/person/name/firstName", "John"), ("/person/luckyNumbers/1", "8"), ("/loyalty~1tier/~0", "gold")],
)
def test_the_field_of_a_pointer(pointer: str, key: str) -> None:
    assert maker(pointer)(PROFILE, None) == key


@pytest.mark.parametrize("pointer", ["/person", "/person/age", "/person/luckyNumbers/2", "/person/luckyNumbers/x"])
def test_a_field_that_is_none_or_no_text(pointer: str) -> None:
    found = maker(pointer)(PROFILE, None)
    assert isinstance(found, Fault)
    assert pointer in found.message


def test_the_key_of_the_kafka_record() -> None:
    keys = maker("kafka_key")
    assert keys({}, "é".encode()) == "é"
    for none in (None, b"", b"\xff"):
        assert isinstance(keys({}, none), Fault)


def test_random_keys_differ() -> None:
    keys = maker("random")
    assert keys({}, None) != keys({}, None)


@pytest.mark.parametrize("character", ["k", "é", "🙂"])
def test_keys_that_are_too_long_become_their_hash(character: str) -> None:
    keys = maker("kafka_key")
    fits, longer = character * 256, character * 257
    assert keys({}, fits.encode()) == fits
    assert keys({}, longer.encode()) == sha256(longer.encode()).hexdigest()


def test_identities_can_be_kept_out_of_keys() -> None:
    keys = maker("identity", ("ECID",), hashed=True)
    assert keys(PROFILE, None) == sha256(b"1457").hexdigest()


def test_half_a_surrogate_pair_is_no_key() -> None:
    assert isinstance(maker("/a", hashed=True)({"a": "\ud83d"}, None), Fault)
