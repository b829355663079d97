"""Which of Beam's runners run these pipelines, and what a portable one needs."""

from __future__ import annotations

from collections.abc import Iterator

from apache_beam.runners.runner import PipelineRunner, create_runner

from pipelines.options.problems import Finding
from pipelines.options.settings import Settings

# They are made for tests and notebooks. The first of them fails on its first read from Kafka, the others choose another
# runner without a word of which.
_FOR_TESTS = {"BundleBasedDirectRunner", "SwitchingDirectRunner", "TestDirectRunner", "InteractiveRunner"}


def runner_findings(settings: Settings) -> Iterator[Finding]:
    """Find a runner that cannot be loaded or is not for these pipelines, and a portable one without its job server."""
    origin = f"runner ({settings.origin('runner')})"
    if settings.runner_class in _FOR_TESTS:
        yield Finding(
            ("runner",), f"{origin}: {settings.runner_class} does not run this pipeline: use FnApiRunner on one machine"
        )
    elif "." in settings.runner and (problem := _problem_of_class(settings.runner)):
        yield Finding(("runner",), f"{origin}: {problem}; give one of Beam's by its short name, such as FlinkRunner")
    if settings.runner_class == "PortableRunner" and not settings.beam.get("job_endpoint"):
        yield Finding(
            ("job_endpoint", "runner"),
            f"job_endpoint: missing: {origin} needs the address of a job server, HOST:PORT; FlinkRunner starts its own",
        )


def _problem_of_class(name: str) -> str:
    """Return why a runner that is given by its full name cannot be used, "" where it can."""
    try:
        runner = create_runner(name)
    except (ImportError, AttributeError, ValueError, TypeError) as error:
        return f"cannot load {name}: {error}"
    return "" if isinstance(runner, PipelineRunner) else f"{name} is not a runner of Beam's"
