"""Whether a cluster fits a job, and which of its jobs is the one that was submitted."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence

from aep.counted import counted
from pipelines.flink.answers import FlinkJob, Slots

_NO_ADDRESSES = ("[local]", "[auto]", "[collection]")


def is_address(master: str | None) -> bool:
    """Return whether `flink_master` is an address, and not a word for a Flink that Beam starts or finds itself."""
    return bool(master) and str(master).strip() not in _NO_ADDRESSES


def minor(version: str) -> str:
    """Return the minor version, `1.19` of `1.19.3`, by which Beam names its job servers."""
    return ".".join(version.split(".")[:2])


def version_problem(version: str, chosen: str | None, published: Collection[str]) -> str:
    """Return why Beam has no job server for a cluster, "" where it has one.

    Args:
        version: Of the cluster.
        chosen: The option `flink_version`.
        published: Minor versions for which Beam publishes a job server.
    """
    if minor(version) not in published:
        return (
            f"the cluster runs Flink {version}, and this Beam has job servers for {', '.join(published)}: build "
            f"runners:flink:{minor(version)}:job-server of Beam's sources and give the jar as flink_job_server_jar, or "
            "use a cluster of one of these versions"
        )
    if chosen and chosen != minor(version):
        return (
            f"flink_version is {chosen}, but the cluster runs Flink {version}: remove it, since it is read from "
            "the cluster"
        )
    return ""


def slots_problem(slots: Slots, parallelism: int, configuration: Mapping[str, str]) -> str:
    """Return why a job would wait for slots, "" where it would not.

    Args:
        slots: Of the cluster.
        parallelism: The option; not positive for the cluster's own.
        configuration: Of the job manager.
    """
    needed = parallelism if parallelism > 0 else int(configuration.get("parallelism.default", "1"))
    if slots.free >= needed or _gets_task_managers_on_demand(configuration):
        return ""
    return (
        f"the job needs {counted(needed, 'slot')} (parallelism), and {slots.free} of the cluster's {slots.total} are "
        "free: lower parallelism, add task managers, or end another job"
    )


def _gets_task_managers_on_demand(configuration: Mapping[str, str]) -> bool:
    """Return whether the cluster starts task managers as jobs need them, or scales jobs to those it has."""
    return (
        any(key.startswith(("kubernetes.cluster-id", "yarn.application")) for key in configuration)
        or configuration.get("jobmanager.scheduler", "").lower() == "adaptive"
        or configuration.get("scheduler-mode", "").lower() == "reactive"
    )


def submitted(jobs: Sequence[FlinkJob], name: str | None, before: Collection[str]) -> FlinkJob | None:
    """Return the first job that has come since these ids were there, under this name where one is given."""
    return next((job for job in jobs if job.id not in before and name in (None, job.name)), None)
