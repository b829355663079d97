"""Patterns for the string formats of XDM, as Experience Platform reads them.

The validator library's own `date` and `date-time` accept text such as `201--02-23`, and its `uri` refuses
addresses outside ASCII that Platform accepts. These patterns follow the grammar that Platform prints when it
refuses a date-time (Retrieving failed batches: `yyyy-MM-dd'T'HH:mm:ss.[0-9]{1,9}Z`, or an offset as
`[+-]HH:mm`) and the rules of `java.net.URI`. They need no look-around, so a linear-time engine runs them.
"""

_YEAR = "(?:000[1-9]|00[1-9][0-9]|0[1-9][0-9]{2}|[1-9][0-9]{3})"
_DATE = f"{_YEAR}-(?:0[1-9]|1[0-2])-(?:0[1-9]|[12][0-9]|3[01])"
_TIME = "(?:[01][0-9]|2[0-3]):[0-5][0-9]:[0-5][0-9](?:\\.[0-9]{1,9})?"
# java.time allows offsets up to 18 hours.
_OFFSET = "(?:Z|[+-](?:(?:0[0-9]|1[0-7]):[0-5][0-9]|18:00))"

# Characters outside ASCII are allowed unless they are controls or spaces.
_NOT_ASCII = "".join(
    f"{chr(first)}-{chr(last)}"
    for first, last in (
        (0x00A1, 0x167F),
        (0x1681, 0x1FFF),
        (0x200B, 0x2027),
        (0x202A, 0x202E),
        (0x2030, 0x205E),
        (0x2060, 0x2FFF),
        (0x3001, 0xD7FF),
        (0xE000, 0x10FFFF),
    )
)
_ESCAPED = "%[0-9A-Fa-f]{2}"
_UNRESERVED = "A-Za-z0-9_.!~*'()" + _NOT_ASCII + "\\-"


def _any_of(characters: str) -> str:
    return f"(?:[{characters}{_UNRESERVED}]|{_ESCAPED})"


_SEGMENT = _any_of(":@&=+$,;")
_SEGMENT_NO_COLON = _any_of("@&=+$,;")
_PATH = _any_of(":@&=+$,;/")
_QUERY = _any_of(":@&=+$,;/?\\[\\]")
_OPAQUE_START = _any_of(":@&=+$,;?\\[\\]")
_IP_LITERAL = f"(?:{_any_of(':&=+$,;')}*@)?\\[[0-9A-Fa-f:.]+\\](?::[0-9]*)?"
_AUTHORITY = f"(?:{_any_of(':@&=+$,;')}+|{_IP_LITERAL})"
_FRAGMENT = f"(?:#{_QUERY}*)?"
_TAIL = f"(?:\\?{_QUERY}*)?{_FRAGMENT}"

_SCHEME = "[A-Za-z][A-Za-z0-9+.\\-]*:"
# The authority may be empty when anything follows it, as in `file:///x`.
_NETWORK_PATH = f"//(?:{_AUTHORITY}(?:/{_PATH}*)?{_TAIL}|/{_PATH}*{_TAIL}|\\?{_QUERY}*{_FRAGMENT}|#{_QUERY}*)"
_ABSOLUTE_PATH = f"/(?:{_SEGMENT}{_PATH}*)?{_TAIL}"
_RELATIVE_PATH = f"(?:{_SEGMENT_NO_COLON}+(?:/{_PATH}*)?)?{_TAIL}"
_ABSOLUTE_URI = f"{_SCHEME}(?:{_NETWORK_PATH}|{_ABSOLUTE_PATH}|{_OPAQUE_START}{_QUERY}*{_FRAGMENT})"

PATTERNS: dict[str, str] = {
    "date": f"^{_DATE}$",
    "date-time": f"^{_DATE}T{_TIME}{_OFFSET}$",
    # A protocol-relative address counts as a URI.
    "uri": f"^(?:{_ABSOLUTE_URI}|{_NETWORK_PATH})$",
    "uri-reference": f"^(?:{_ABSOLUTE_URI}|{_NETWORK_PATH}|{_ABSOLUTE_PATH}|{_RELATIVE_PATH})$",
}
"""Format name to the pattern that decides it."""

FORMAT_OF: dict[str, str] = {pattern: name for name, pattern in PATTERNS.items()}
"""The inverse, to report such a pattern as the format it represents."""

LIBRARY_NAMES = {"email": "idn-email"}
"""Formats for which the library has a better name: its `email` refuses addresses outside ASCII."""

CALENDAR_FORMATS = frozenset({"date", "date-time"})
"""Formats that stay on besides their pattern: the library's own check knows that February has no 30th."""
