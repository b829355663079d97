"""A user's transform: a plain function that changes, drops or refuses a record after the map.

    def enrich(record: dict[str, Any], metadata: Metadata) -> dict[str, Any] | None:

It returns the record to continue with (the same, changed, or another), or None to drop it; an exception refuses the
record. See docs/transforms.md for its contract.
"""

from __future__ import annotations

import inspect
import re
import traceback
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from importlib import import_module
from typing import Any, NamedTuple

import orjson

from aep.errors import ConfigurationError
from aep.formats.json import ParsedObject
from aep.mapping.field_map import Origin

Metadata = Origin
"""Passed to such a function with the record: where and when it was written to Kafka."""

_REFERENCE = re.compile(r"[^\W\d]\w*(\.[^\W\d]\w*)*:[^\W\d]\w*")
_MOST_WORDS = 500  # characters of an exception's words that a dead letter keeps


class TransformError(ConfigurationError):
    """A function cannot be imported here, or cannot be called with a record and its metadata."""


class TransformFault(NamedTuple):
    """Why a function made no record: `transform` if it raised, `transform_result` if its result is not JSON."""

    code: str
    message: str


LoadedTransform = Callable[[dict[str, Any], Metadata], ParsedObject | TransformFault | None]
"""The record as the function makes it, with its JSON; None where the function drops it."""


@dataclass(frozen=True)
class RecordTransform:
    """A function by name, `package.module:function`; only the name is sent to workers."""

    reference: str

    def load(self) -> LoadedTransform:
        """Import the function.

        Raises:
            TransformError: See there.
        """
        return partial(_apply, self._function(), self.reference)

    def _function(self) -> Callable[[dict[str, Any], Metadata], Any]:
        module, _, name = self.reference.partition(":")
        try:
            function = getattr(import_module(module), name)
        except Exception as error:  # whatever the module does as it is imported
            raise TransformError(
                f"transform {self.reference} cannot be imported: {_words(error)}. Install its package, or set "
                "PYTHONPATH; workers elsewhere get it by setup_file, extra_package or their container image"
            ) from error
        try:
            inspect.signature(function).bind({}, None)
        except TypeError:
            raise TransformError(
                f"transform {self.reference} must be a function that takes two arguments, a record and its metadata"
            ) from None
        return function


def check_reference(reference: str) -> str:
    """Accept `package.module:function`.

    Raises:
        ValueError: It has another form.
    """
    if not _REFERENCE.fullmatch(reference):
        raise ValueError(f"expected package.module:function, such as acme.loyalty:enrich, got {reference!r}")
    return reference


def _apply(
    function: Callable[[dict[str, Any], Metadata], Any], name: str, record: dict[str, Any], metadata: Metadata
) -> ParsedObject | TransformFault | None:
    try:
        made = function(record, metadata)
    except Exception as error:  # noqa: BLE001 - the function is the user's, and its error refuses one record
        return TransformFault("transform", _words(error))
    if made is None:
        return None
    if not isinstance(made, dict):
        return TransformFault("transform_result", f"{name} returned {type(made).__name__}, expected a dict or None")
    try:
        body = orjson.dumps(made)
    except TypeError as error:
        return TransformFault("transform_result", f"{name} returned a value that JSON cannot represent: {error}")
    # orjson writes dates and tuples, and NaN as null: what is validated would differ from what is posted. What goes on
    # is what was written: the function may keep its object and change it, and text may be of a class of its own.
    written: dict[str, Any] = orjson.loads(body)
    if written != made:
        return TransformFault(
            "transform_result",
            f"{name} returned values that JSON cannot represent: expected dicts, lists, strings, finite numbers, "
            "booleans "
            "and None, not tuples or dates",
        )
    return ParsedObject(written, body)


def _words(error: Exception) -> str:
    """Return the exception's type and text on one line, without its traceback, which could show values."""
    words = " ".join(traceback.format_exception_only(error)[0].split())
    return words[:_MOST_WORDS].encode(errors="replace").decode()
