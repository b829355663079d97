"""The pipelines whose modules say as `JOB` what they run, by the names of their modules.

A replay has none: it reads what another pipeline could not deliver.
"""

from __future__ import annotations

import pkgutil
from importlib import import_module
from typing import Any

import pipelines
from pipelines.runtime.run import Job


def find_job(name: str) -> Job[Any] | None:
    """Return the job of a pipeline, None where no pipeline has this name."""
    return jobs().get(name)


def jobs() -> dict[str, Job[Any]]:
    """Import all pipelines and return their jobs."""
    modules = (each.name for each in pkgutil.iter_modules(pipelines.__path__) if not each.ispkg)
    found = {name: getattr(import_module(f"{pipelines.__name__}.{name}"), "JOB", None) for name in modules}
    return {name: job for name, job in found.items() if job is not None}
