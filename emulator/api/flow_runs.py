"""The runs of dataflows to destinations in Flow Service: `/runs`.

Source: "Monitor dataflows using the Flow Service API" (shape). Only exports are counted: the dataflows from inlets into
datasets have no runs here. Adobe's streaming destinations count failed puts in their runs ("Amazon Kinesis
connection"); the codes of the errors are those of Kinesis, since Adobe's are not published.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from starlette.responses import Response
from starlette.routing import Route

from emulator.api.filters import matching
from emulator.api.flow_errors import not_found, refused
from emulator.api.flow_service import BASE
from emulator.api.gateway import Call, Gateway
from emulator.api.problems import json_response
from emulator.export.queue import ExportQueue, Run

DEFAULT_LIMIT = 100


class FlowRuns:
    """Runs over HTTP."""

    def __init__(self, queue: ExportQueue) -> None:
        self._queue = queue

    def routes(self, gateway: Gateway) -> list[Route]:
        endpoints: list[tuple[str, str, Callable[[Call], Response]]] = [
            ("GET", "/runs", self._list),
            ("GET", "/runs/{id}", self._look_up),
        ]
        return gateway.routes(BASE, endpoints)

    def _list(self, call: Call) -> Response:
        properties = [each for each in call.request.query_params.getlist("property") if each]
        try:
            found = matching([_shown(call, each) for each in self._queue.runs(call.org_id)], properties)
        except ValueError as error:
            raise refused(400, str(error)) from error
        limit = call.whole_number("limit", DEFAULT_LIMIT) or DEFAULT_LIMIT
        return json_response({"items": found[:limit], "_links": {}})

    def _look_up(self, call: Call) -> Response:
        for run in self._queue.runs(call.org_id):
            if run.id == call.path("id"):
                return json_response({"items": [_shown(call, run)]})
        raise not_found("runs", call.path("id"))


def _shown(call: Call, run: Run) -> dict[str, Any]:
    ended = run.records_in == run.records_out + run.failed
    status = "inProgress" if not ended else "success" if not run.failed else "failed"
    if status == "failed" and run.records_out:
        status = "partialSuccess"
    errors = [
        {"code": code, "message": f"{number} records were not sent, for example: {message}"}
        for code, (number, message) in run.errors.items()
    ]
    return {
        "id": run.id,
        "flowId": run.flow_id,
        "createdAt": run.started_ms,
        "updatedAt": run.updated_ms,
        "imsOrgId": run.org_id,
        "sandboxId": call.sandbox,
        "sandboxName": call.sandbox,
        "etag": f'"{run.id}-{run.updated_ms}"',
        "metrics": {
            "durationSummary": {"startedAtUTC": run.started_ms, "completedAtUTC": run.updated_ms},
            "sizeSummary": {"inputBytes": run.bytes_in, "outputBytes": run.bytes_out},
            "recordSummary": {
                "inputRecordCount": run.records_in,
                "outputRecordCount": run.records_out,
                "failedRecordCount": run.failed,
            },
            "statusSummary": {"status": status, "errors": errors},
        },
        "activities": [],
    }
