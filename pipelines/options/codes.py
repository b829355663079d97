"""Codes of dead letters as users name them: one that nothing can have given is a slip of the pen."""

from __future__ import annotations

import re
from typing import Annotated

from pydantic import AfterValidator

from pipelines.options.types import Strings
from pipelines.options.yaml_files import nearest
from transforms.records.dead_letter_codes import CODES, PAGE

# AEP's have digits and hyphens (DCVS-1104-400), those of Kafka Connect are names of Java classes; ours have neither.
_OF_OTHERS = re.compile(r".*[-.\d].*|[A-Z_]+")


def check_code(code: str) -> str:
    """Return the code.

    Raises:
        ValueError: It is none of ours, and does not look like one of AEP's or Kafka Connect's.
    """
    if code not in CODES and not _OF_OTHERS.fullmatch(code):
        guess = nearest(code, CODES)
        raise ValueError(
            f"{code} is not a code of dead letters" + (f", did you mean {guess}?" if guess else f": see {PAGE}")
        )
    return code


def _check_codes(codes: tuple[str, ...]) -> tuple[str, ...]:
    return tuple(map(check_code, codes))


Codes = Annotated[Strings, AfterValidator(_check_codes)]
