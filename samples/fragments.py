"""Pieces of JSON, encoded once, of which the samples are put together."""

from hashlib import blake2b
from typing import Any, NamedTuple

import orjson

from samples.catalogue import CAMPAIGNS, DEVICES, NAMES, PAGES, PLACES, PRODUCTS, REFERRERS, STREETS, TIERS, Place

MEMBERS = 2_000
"""How many members the programme has."""

_WITHOUT_CENTS = frozenset({"JPY", "KRW"})
_GENDERS = ("female", "male", "non_specific", "not_specified")
_NOTE_TEXT = b"Thank you for shopping with us. Goods can be returned within 30 days with this receipt. "


class Member(NamedTuple):
    """One member of the programme, ready to be put into records."""

    number: bytes
    currency: str
    joined: bytes
    identity_map: bytes
    loyalty_event: bytes
    loyalty_profile: bytes
    profile: bytes
    place: bytes


class Purchase(NamedTuple):
    """What is bought or looked at in one event."""

    event_type: bytes
    points: int
    json: bytes


def _inner(record: dict[str, Any]) -> bytes:
    """Return JSON of the members of an object, without its braces."""
    return orjson.dumps(record)[1:-1]


def members_of(seed: int) -> tuple[Member, ...]:
    return tuple(_member(number, blake2b(b"%d/%d" % (seed, number)).digest()) for number in range(MEMBERS))


def _member(number: int, digest: bytes) -> Member:
    member_id = f"ACME-{number:08d}"
    email = f"member{number:08d}@example.com"
    ecid = _ecid_half(digest[:8]) + _ecid_half(digest[8:16])
    place = PLACES[digest[16] % len(PLACES)]
    tier = TIERS[digest[17] % len(TIERS)]
    join_date = f"{2015 + digest[18] % 9}-{digest[19] % 12 + 1:02d}-{digest[20] % 28 + 1:02d}"
    identities = {
        "LoyaltyId": [{"id": member_id, "authenticatedState": "authenticated", "primary": True}],
        "ECID": [{"id": ecid, "authenticatedState": "ambiguous", "primary": False}],
    }
    loyalty = {"memberId": member_id, "tier": tier}
    return Member(
        number=member_id.encode(),
        currency=place.currency,
        joined=f"{join_date}T08:00:00.000Z".encode(),
        identity_map=_inner({"identityMap": identities}),
        loyalty_event=_inner(
            {
                **loyalty,
                "channel": ("store", "web", "app")[digest[21] % 3],
                "storeId": place.store,
                "campaignCode": CAMPAIGNS[digest[22] % len(CAMPAIGNS)],
            }
        ),
        loyalty_profile=_inner({**loyalty, "joinDate": join_date, "preferredStoreId": place.store}),
        profile=_inner(
            {"identityMap": {**identities, "Email": [{"id": email, "primary": False}]}}
            | _person(digest[23:33], email)
            | _home(digest[33:40], place)
        ),
        place=b"," + _inner({"placeContext": {"ianaTimezone": place.time_zone, "geo": _geo(place)}}),
    )


def _ecid_half(digest: bytes) -> str:
    """Return half of an ECID: a positive 64-bit integer, in 19 digits."""
    return f"{int.from_bytes(digest, 'big') % (2**63 - 1) + 1:019d}"


def _person(digest: bytes, email: str) -> dict[str, Any]:
    first_names, last_names = NAMES[digest[0] % len(NAMES)]
    first = first_names[digest[1] % len(first_names)]
    last = last_names[digest[2] % len(last_names)]
    return {
        "person": {
            "name": {"firstName": first, "lastName": last, "fullName": f"{first} {last}"},
            "birthDate": f"{1945 + digest[3] % 60}-{digest[4] % 12 + 1:02d}-{digest[5] % 28 + 1:02d}",
            "gender": _GENDERS[digest[6] % len(_GENDERS)],
        },
        "personalEmail": {"address": email, "primary": True, "type": "personal", "status": "active"},
        "mobilePhone": {"number": f"+00 555 01{digest[7]:03d}", "primary": True, "status": "active"},
    }


def _home(digest: bytes, place: Place) -> dict[str, Any]:
    street = f"{STREETS[digest[0] % len(STREETS)]} {digest[1] + 1}"
    return {"homeAddress": {"street1": street, "primary": True, "label": "home", **_geo(place)}}


def _geo(place: Place) -> dict[str, Any]:
    return {
        "city": place.city,
        "postalCode": place.postal_code,
        "stateProvince": place.region,
        "countryCode": place.country,
        "_schema": {"latitude": place.latitude, "longitude": place.longitude},
    }


def _purchases(currency: str) -> list[Purchase]:
    """Return baskets of one to three products, the smallest first; every third is only looked at."""
    baskets = [
        [PRODUCTS[(start + step * 5) % len(PRODUCTS)] for step in range(size)]
        for size in (1, 2, 3)
        for start in range(len(PRODUCTS))
    ]
    return [_purchase(number, basket, currency) for number, basket in enumerate(baskets)]


def _purchase(number: int, basket: list[tuple[str, str, int]], currency: str) -> Purchase:
    unit = 1 if currency in _WITHOUT_CENTS else 100
    items = []
    total = 0
    for place, (sku, name, price) in enumerate(basket):
        quantity = (number + place) % 3 + 1
        total += quantity * price
        items.append(
            {
                "SKU": sku,
                "name": name,
                "quantity": quantity,
                "priceTotal": quantity * price / unit,
                "currencyCode": currency,
            }
        )
    if number % 3 == 2:
        json = _inner({"commerce": {"productViews": {"value": 1}}, "productListItems": items})
        return Purchase(b"commerce.productViews", 0, json)
    payment = {"paymentAmount": total / unit, "paymentType": "credit_card", "currencyCode": currency}
    order = {
        "purchaseID": f"P-{number:04d}",
        "priceTotal": total / unit,
        "currencyCode": currency,
        "payments": [payment],
    }
    json = _inner({"commerce": {"purchases": {"value": 1}, "order": order}, "productListItems": items})
    return Purchase(b"commerce.purchases", total // 100, json)


def _device(device: tuple[Any, ...]) -> bytes:
    manufacturer, model, kind, height, width, system, version, browser, agent = device
    browser_details = {
        "name": browser,
        "userAgent": agent,
        "acceptLanguage": "en-GB,de;q=0.8",
        "cookiesEnabled": True,
        "javaScriptEnabled": True,
        "viewportHeight": height // 2,
        "viewportWidth": width // 2,
    }
    environment = {
        "type": "browser",
        "operatingSystem": system,
        "operatingSystemVersion": version,
        "connectionType": "mobile_lte" if kind == "mobile" else "cable",
        "ipV4": "203.0.113.77",
        "_dc": {"language": "en-GB"},
        "browserDetails": browser_details,
    }
    screen = {
        "type": kind,
        "manufacturer": manufacturer,
        "model": model,
        "screenHeight": height,
        "screenWidth": width,
        "colorDepth": 24,
        "screenOrientation": "portrait" if height > width else "landscape",
    }
    return b"," + _inner({"environment": environment, "device": screen})


def _web_page(name: str, url: str, is_home: bool, referrer_type: str, referrer: str) -> bytes:
    page = {"name": name, "URL": url, "isHomePage": is_home, "pageViews": {"value": 1}}
    came_from = {"type": referrer_type, "URL": referrer} if referrer else {"type": referrer_type}
    return b"," + _inner({"web": {"webPageDetails": page, "webReferrer": came_from}})


def note(size: int) -> bytes:
    """Return text for a receipt, exactly so many bytes long."""
    return (_NOTE_TEXT * (size // len(_NOTE_TEXT) + 1))[:size]


PURCHASES: dict[str, list[Purchase]] = {
    currency: _purchases(currency) for currency in sorted({place.currency for place in PLACES})
}
"""Currency to what can happen in a shop that takes it."""

BLOCKS: tuple[list[bytes], ...] = (
    [_device(device) for device in DEVICES],
    [_web_page(*page, *referrer) for page in PAGES for referrer in REFERRERS],
)
"""Optional parts of an event, each with its leading comma."""
