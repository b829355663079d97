"""Make docs/dead-letter-codes.md from the codes: `python -m pipelines.cli.dead_letters.page` (`make docs`)."""

from __future__ import annotations

import sys
from collections.abc import Sequence

from transforms.records.dead_letter_codes import ADOBE, CONNECT, INGEST_CODES, MAP_CODES, PARSE_CODES, POST_CODES
from transforms.records.schema_codes import RULE_CODES, SCHEMA_CODES, Code

_INTRODUCTION = """\
<!-- Generated from transforms/records/ by `make docs`; a test compares the two. Change the codes, not this page. -->

# Codes of dead letters

Why a record is in the [dead letters](dead-letters-and-replay.md): what each code means, how its message reads, and what
to do. `beam-aep dead-letters show` prints the place on this page for each dead letter; `beam-aep preview` shows the
effect of a change on records, and `beam-aep replay --preview` how many dead letters would pass now.

"""

_SECTIONS: tuple[tuple[str, str, Sequence[Code]], ...] = (
    ("Reading the value", "Stage `parse`. The record is not what its format says.", PARSE_CODES),
    ("Mapping and transforming", "Stages `map` and `transform`.", MAP_CODES),
    (
        "Fitting the schema",
        "Stage `validate`, and `shape` for exported profiles that are read from Kinesis. The codes are the keywords of "
        "the JSON Schema that AEP makes of an XDM schema.",
        SCHEMA_CODES,
    ),
    ("Fitting AEP's rules beyond the schema", "Stage `validate`, options `xdm_...`.", RULE_CODES),
    ("Sending", "Stage `post`.", POST_CODES),
    ("After AEP has accepted", "Stage `ingest`.", INGEST_CODES),
)

_OTHERS = f"""\
## {ADOBE}

Dead letters of stage `ingest` have the code that AEP gives in its failed batches, and our own check of the record among
their violations, which names the field. Those that are seen most:

| code | what it says | ours |
| --- | --- | --- |
| `DCVS-1057-400` | a field is not in the schema | [`additionalProperties`](#additionalproperties) |
| `DCVS-1102-400` | a text does not have its form, such as a date where a date-time belongs | [`format`](#format) |
| `DCVS-1104-400` | a field has another type | [`type`](#type) |
| `DCVS-1106-400` | a required field is missing | [`required`](#required) |

## {CONNECT}

Dead letters that a Kafka Connect sink has written can be shown and replayed too. Their codes are names of Java
exceptions, such as `org.apache.kafka.connect.errors.DataException`, and their stages are in capitals. The message says
what the connector did not like; `beam-aep preview` or a replay shows what this pipeline says of the record.
"""


def page() -> str:
    """Return the page."""
    parts = [_INTRODUCTION]
    for title, text, codes in _SECTIONS:
        parts.append(f"## {title}\n\n{text}\n\n")
        for each in codes:
            parts.append(
                f"### `{each.code}`\n\n{each.meaning}\n\n- Example: `{each.example}`\n- What to do: {each.remedy}\n\n"
            )
    return "".join([*parts, _OTHERS])


if __name__ == "__main__":
    sys.stdout.write(page())
