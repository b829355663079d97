"""What a job on Google Cloud Dataflow needs, and where Beam's `--dry_run` means something."""

from __future__ import annotations

from collections.abc import Iterator

from apache_beam.options.pipeline_options import GoogleCloudOptions, PipelineOptions
from apache_beam.options.pipeline_options_validator import PipelineOptionsValidator

from pipelines.options.problems import Finding
from pipelines.options.settings import Settings

_FOLDERS = ("temp_location", "staging_location")

# The first that is given will do.
_NEEDED = {
    ("project",): "the id of the Google Cloud project",
    _FOLDERS: "a folder for temporary files, gs://BUCKET/FOLDER",
    ("sdk_container_image",): "an image with this package for its workers; deploy/dataflow/Dockerfile makes one",
}


def dataflow_findings(settings: Settings) -> Iterator[Finding]:
    """Find what is missing or wrong for Dataflow, and a dry run on a runner that has none."""
    if not settings.on_dataflow:
        if settings.dry_run:
            yield Finding(
                ("dry_run", "runner"),
                f"dry_run ({settings.origin('dry_run')}): DataflowRunner alone has dry runs, and {settings.runner} "
                "would run the pipeline: leave it out; beam-aep check looks at options and connections",
            )
        return
    for names, why in _NEEDED.items():
        if not any(settings.beam.get(name) for name in names):
            yield Finding((*names, "runner"), f"{names[0]}: missing: DataflowRunner needs {why}")
    for name in _FOLDERS:
        if (folder := settings.beam.get(name)) and not _is_in_cloud_storage(name, folder):
            yield Finding(
                (name, "runner"), f"{name} ({settings.origin(name)}): expected gs://BUCKET/FOLDER, got {folder}"
            )


def _is_in_cloud_storage(name: str, folder: str) -> bool:
    """Return whether Beam takes a folder; instead of one that it does not take, it would create a bucket."""
    options = PipelineOptions([f"--{name}={folder}"])
    validator = PipelineOptionsValidator(options, None)
    return not validator.validate_gcs_path(options.view_as(GoogleCloudOptions), name)
