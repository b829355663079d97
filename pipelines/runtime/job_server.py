"""A job server of Beam that already runs: whether it answers."""

from __future__ import annotations

import grpc

from pipelines.options.settings import Settings
from pipelines.runtime.preflight import PreflightError

# It may have been started together with this process.
_SECONDS = 20


def check_job_server(settings: Settings) -> None:
    """Wait until the job server of `job_endpoint` answers, for up to `job_server_timeout` seconds.

    Raises:
        PreflightError: It does not.
    """
    endpoint = settings.beam.get("job_endpoint")
    if not endpoint or endpoint == "embed":  # Beam's word for one of its own, in this process
        return
    if not answers(endpoint, settings.beam.get("job_server_timeout", _SECONDS)):
        raise PreflightError(
            f"job_endpoint ({settings.origin('job_endpoint')}): no job server answers at {endpoint}: start Beam's "
            "there, or leave it out and let FlinkRunner start one"
        )


def answers(endpoint: str, seconds: float) -> bool:
    """Return whether something that speaks gRPC answers at HOST:PORT within some seconds."""
    with grpc.insecure_channel(endpoint) as channel:
        try:
            grpc.channel_ready_future(channel).result(timeout=seconds)
        except grpc.FutureTimeoutError:
            return False
    return True
