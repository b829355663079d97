"""The pipelines whose modules say as `JOB` or, without routes, as `RUN` what they run, by the names of their modules.

Names may have `-` for `_`, as those of options may.

A replay has none: it reads what another pipeline could not deliver.
"""

from __future__ import annotations

import pkgutil
from importlib import import_module
from typing import Any

import pipelines
from pipelines.runtime.job import Job, Run
from pipelines.runtime.run import as_run


def find_job(name: str) -> Job | None:
    """Import a pipeline and return its job; None where no pipeline has this name."""
    return _job(module) if (module := name.replace("-", "_")) in _modules() else None


def find_run(name: str) -> Run[Any] | None:
    """Import a pipeline and return what runs it, of its `JOB` or its `RUN`; None where no pipeline has this name."""
    if (job := find_job(name)) is not None:
        return as_run(job)
    return _run(module) if (module := name.replace("-", "_")) in _modules() else None


def names() -> list[str]:
    """Import all pipelines and return the names of those that can be run by themselves."""
    return [name for name in _modules() if find_run(name) is not None]


def jobs() -> dict[str, Job]:
    """Import all pipelines and return their jobs."""
    found = {name: _job(name) for name in _modules()}
    return {name: job for name, job in found.items() if job is not None}


def _modules() -> list[str]:
    return [each.name for each in pkgutil.iter_modules(pipelines.__path__) if not each.ispkg]


def _run(name: str) -> Run[Any] | None:
    return getattr(import_module(f"{pipelines.__name__}.{name}"), "RUN", None)


def _job(name: str) -> Job | None:
    return getattr(import_module(f"{pipelines.__name__}.{name}"), "JOB", None)
