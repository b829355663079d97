"""What a test does about a service that this machine cannot run."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import AbstractContextManager, ExitStack, contextmanager
from typing import TypeVar

import pytest

from testing.services.process import ServiceUnavailable

T = TypeVar("T")


@contextmanager
def require(service: AbstractContextManager[T]) -> Iterator[T]:
    """Start the service; if it is unavailable, skip the test, or fail it when `CI=true`."""
    with ExitStack() as stack:
        try:
            started = stack.enter_context(service)
        except ServiceUnavailable as error:
            if os.environ.get("CI") == "true":
                pytest.fail(str(error))
            pytest.skip(str(error))
        yield started
