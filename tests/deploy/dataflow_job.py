"""Constructs a job for Dataflow and prints what would be submitted, as JSON.

python -m tests.deploy.dataflow_job OPTION...

Run as a process of its own, with the packages of the image, which the tests' environment does not have.
"""

from __future__ import annotations

import json
import sys
from base64 import b64decode, b64encode
from bz2 import decompress
from pathlib import Path
from typing import Any

import apache_beam as beam
from apache_beam.options.pipeline_options import PipelineOptions
from apache_beam.portability.api import beam_runner_api_pb2
from apache_beam.runners.dataflow.internal import apiclient
from google.protobuf import json_format

from pipelines.kafka_to_aep import JOB
from tests.pipelines.to_aep import parse


def job_of(options: list[str]) -> dict[str, Any]:
    """Return the job: its pipeline, its environment as Dataflow's API takes it, its DoFns as they are
    pickled, and the files that would be staged."""
    settings = parse(options)
    pipeline = beam.Pipeline(options=PipelineOptions(settings.beam_flags))
    JOB.build(pipeline, JOB.plan(settings, JOB.destination))
    job = pipeline.run().job
    proto = job.proto_pipeline
    environment = apiclient.Environment(
        proto_pipeline_staged_url="gs://bucket/staging/pipeline.pb",
        proto_pipeline=proto,
        packages=[],
        options=job.options,
        environment_version="1",
    )
    staged = [
        Path(beam_runner_api_pb2.ArtifactFilePayload.FromString(each.type_payload).path)
        for known in proto.components.environments.values()
        for each in known.dependencies
    ]
    steps = [each.spec for each in proto.components.transforms.values() if each.spec.urn == "beam:transform:pardo:v1"]
    pickles = [beam_runner_api_pb2.ParDoPayload.FromString(each.payload).do_fn.payload for each in steps]
    return {
        "name": job.proto.name,
        "type": job.proto.type_.name,
        "pipeline": json_format.MessageToDict(proto),
        "environment": json_format.MessageToDict(environment.proto._pb),
        "pickles": [b64encode(decompress(b64decode(each))).decode() for each in pickles],
        "staged": {path.name: b64encode(path.read_bytes()).decode() for path in staged},
    }


if __name__ == "__main__":
    json.dump(job_of(sys.argv[1:]), sys.stdout)
