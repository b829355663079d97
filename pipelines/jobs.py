"""The pipelines whose modules say as `JOB` what they run, by the names of their modules.

A replay has none: it reads what another pipeline could not deliver.
"""

from __future__ import annotations

import pkgutil
from importlib import import_module
from typing import Any

import pipelines
from pipelines.runtime.job import Job, Run


def find_job(name: str) -> Job[Any] | None:
    """Import a pipeline and return its job; None where no pipeline has this name."""
    return _job(name) if name in _modules() else None


def find_run(name: str) -> Run[Any] | None:
    """Import a pipeline without routes, whose module says as `RUN` what it runs; None where none has this name."""
    return _run(name) if name in _modules() else None


def names() -> list[str]:
    """Import all pipelines and return the names of those that can be run by themselves."""
    return [name for name in _modules() if _job(name) is not None or _run(name) is not None]


def jobs() -> dict[str, Job[Any]]:
    """Import all pipelines and return their jobs."""
    found = {name: _job(name) for name in _modules()}
    return {name: job for name, job in found.items() if job is not None}


def _modules() -> list[str]:
    return [each.name for each in pkgutil.iter_modules(pipelines.__path__) if not each.ispkg]


def _run(name: str) -> Run[Any] | None:
    return getattr(import_module(f"{pipelines.__name__}.{name}"), "RUN", None)


def _job(name: str) -> Job[Any] | None:
    return getattr(import_module(f"{pipelines.__name__}.{name}"), "JOB", None)
