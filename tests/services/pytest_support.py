"""What a machine lacks is skipped with its reason; with ``CI=true`` a skip is a failure."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, ExitStack, contextmanager
from typing import TypeVar

import pytest

from tests.services.process import ServiceUnavailable

T = TypeVar("T")


@contextmanager
def require(service: Callable[[], AbstractContextManager[T]]) -> Iterator[T]:
    """Starts a service for a fixture, or skips the tests that need it."""
    with ExitStack() as stack:
        try:
            running = stack.enter_context(service())
        except ServiceUnavailable as reason:
            if os.environ.get("CI") == "true":
                pytest.fail(f"needed with CI=true: {reason}")
            pytest.skip(str(reason))
        yield running
