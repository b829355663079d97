"""Options, routes and plans of pipelines to AEP, as tests make them."""

from __future__ import annotations

from collections.abc import Sequence

from pipelines.destinations.aep.keys import AepRouteKeys
from pipelines.destinations.aep.kind import AEP
from pipelines.kafka_to_aep import JOB
from pipelines.options import merge, routes
from pipelines.options.checks import contradictions
from pipelines.options.settings import Settings
from pipelines.runtime import plan, replay_plan
from pipelines.runtime.plan import Plan
from pipelines.runtime.replay_plan import ReplayPlan
from pipelines.runtime.run import as_run
from transforms.records.route import Routes


def parse(argv: Sequence[str]) -> Settings:
    return merge.parse(argv, lambda settings: contradictions(settings, AEP))


def load_routes(settings: Settings) -> list[AepRouteKeys]:
    return routes.load_routes(settings, AEP)


def make_routes(settings: Settings) -> Routes:
    return plan.make_routes(settings, AEP)


def make_plan(settings: Settings) -> Plan:
    return plan.make_plan(settings, AEP)


def make_replay_plan(settings: Settings) -> ReplayPlan[Plan]:
    replay = as_run(JOB).replay
    assert replay is not None
    return replay_plan.make_replay_plan(settings, replay)
