"""Google Cloud Dataflow: whether its packages are here, and a job that is constructed and not submitted."""

from __future__ import annotations

from importlib import import_module

import apache_beam as beam

from pipelines.options.settings import Settings
from pipelines.runtime.preflight import PreflightError


def check_packages() -> None:
    """Import what Beam submits jobs to Dataflow with, which Beam itself does last of all.

    Raises:
        PreflightError: It is not installed.
    """
    try:
        import_module("apache_beam.runners.dataflow.internal.apiclient")
    except ImportError as error:
        raise PreflightError(
            f"DataflowRunner needs packages of Google Cloud ({error}): pip install 'beam-aep[gcp]'"
        ) from None


def dry_run(pipeline: beam.Pipeline, settings: Settings) -> str:
    """Construct a job without submitting it; it takes neither network nor credentials.

    Returns:
        The name of the job, the image of its workers, and the options that are not as by default, as an options file.
    """
    job = pipeline.run().job
    return (
        f"# Dataflow job {job.proto.name}: constructed, not submitted\n"
        f"# image of the workers: {settings.beam['sdk_container_image']}\n"
        f"# options that differ from the defaults:\n{settings.as_yaml(differing=True)}"
    )
