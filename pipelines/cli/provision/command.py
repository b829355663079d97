"""The command `beam-aep provision`: what a file declares is planned, shown, made, and told to the pipeline."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any
from urllib.parse import urlsplit

import typer
from rich.console import Console

from pipelines.cli.common import (
    AND_OPTIONS,
    AND_OPTIONS_METAVAR,
    INTERRUPTED,
    WRONG,
    AsJson,
    a_path,
    app,
    example,
    put_json,
    run_options,
    say,
    say_problems,
)
from pipelines.output.whole_file import write_whole

if TYPE_CHECKING:
    from aep.errors import UserError
    from aep.provision.apply import Ids
    from aep.provision.inventory import Services
    from aep.provision.steps import Plan, Step
    from pipelines.cli.provision.file import ProvisionFile
    from pipelines.options.settings import Settings

SOMETHING_TO_DO = 3
"""Exit code of a dry run that found something to create, change, delete or write."""

_ROUTES_FILE = "routes.yaml"


@app.command(
    "provision",
    context_settings=AND_OPTIONS,
    options_metavar=AND_OPTIONS_METAVAR,
    epilog=example("beam-aep provision -f provision.yaml --options_file=aep.yaml --dry-run"),
)
def provision(
    context: typer.Context,
    file: Annotated[
        list[Path],
        typer.Option("--file", "-f", parser=a_path, help="YAML file that declares the objects.", metavar="FILE"),
    ],
    dry_run: Annotated[
        bool, typer.Option("--dry-run", help="Stop after the plan; exit code 3 if there are changes.")
    ] = False,
    yes: Annotated[bool, typer.Option("--yes", "-y", help="Continue without asking.")] = False,
    prune: Annotated[bool, typer.Option("--prune", help="Delete the entries marked `delete: true`.")] = False,
    rotate: Annotated[
        bool, typer.Option("--rotate-credentials", help="Send the credentials of all destinations again.")
    ] = False,
    as_json: AsJson = False,
) -> int:
    """Create in Experience Platform what a file declares.

    That is anything from field groups to destinations, and the routes file of a run.

    Shows a plan, then creates what is missing and leaves matching objects alone. If interrupted, it continues when run
    again. Also takes the pipeline's options, written --name=value: --options_file, --aep_org_id, --aep_client_id,
    --aep_client_secret, --aep_sandbox, --aep_platform_url, ...; --routes_file says where to write the routes.
    """
    from aep.errors import UserError
    from pipelines.options.platform_access import platform_settings
    from pipelines.options.secret_checks import secrets_named

    if len(file) > 1:
        raise typer.BadParameter("--file (-f) takes one file; options files are given with --options_file")
    if as_json and not (dry_run or yes):
        raise typer.BadParameter("--json asks nothing: give --dry-run or --yes with it")
    try:
        settings = platform_settings(run_options(context))
        with secrets_named(settings):
            provisioning = _Provisioning(str(file[0]), settings, as_json=as_json)
            code = provisioning.run(dry_run=dry_run, yes=yes, prune=prune, rotate=rotate)
        if as_json and (code in (0, SOMETHING_TO_DO) or provisioning.document["done"]):
            put_json(provisioning.document)
        return code
    except UserError as error:
        say_problems(error)
    except OSError as error:
        say(f"error: {error.filename}: {error.strerror}")
    return WRONG


class _Provisioning:
    def __init__(self, path: str, settings: Settings, *, as_json: bool):
        from aep.provision.inventory import Services
        from pipelines.cli.provision.file import is_ours, read_provision
        from pipelines.options.platform_access import platform_client

        self._file: ProvisionFile = read_provision(path)
        self._settings = settings
        self._routes_file = Path(settings.general.routes_file or _ROUTES_FILE)
        self._schemas = self._routes_file.parent / "schemas"
        if self._file.wanted.routes and not is_ours(self._routes_file):
            from pipelines.options.yaml_files import OptionsError

            raise OptionsError(
                [
                    f"{self._routes_file}: was not written by beam-aep provision, so it is kept: use another "
                    "--routes_file"
                ]
            )
        self._services: Services = Services.of(platform_client(settings))
        # Said on the terminal as it happens, or kept for a document at the end.
        self._console = Console(highlight=False, soft_wrap=True, quiet=as_json)
        self.document: dict[str, Any] = {"steps": [], "to_do": 0, "done": [], "written": []}

    def run(self, *, dry_run: bool, yes: bool, prune: bool, rotate: bool) -> int:
        from pipelines.cli.provision.table import plan_table
        from pipelines.output.table import show

        plan = self._plan(prune=prune, rotate=rotate)
        files = self._files(plan)
        show(self._console, plan_table([*plan.steps, *files]))
        pending = [*plan.work, *(step for step in files if step.action.value != "right")]
        self.document["steps"] = [_document(step) for step in (*plan.steps, *files)]
        self.document["to_do"] = len(pending)
        if not pending:
            self._console.print("no changes")
            return 0
        if dry_run:
            self._console.print(f"{len(pending)} to do; a dry run changes nothing")
            return SOMETHING_TO_DO
        if not yes:
            if not self._agreed(len(pending)):
                return WRONG
            now = self._plan(prune=prune, rotate=rotate)
            if (now.steps, now.ids) != (plan.steps, plan.ids):
                say("nothing was changed: AEP has changed since this plan was made: run this again to see the new one")
                return WRONG
        return self._carry_out(plan, pending)

    def _plan(self, *, prune: bool, rotate: bool) -> Plan:
        """Look at what is there and compare.

        Raises:
            OptionsError: Something must be fixed first.
            AepError: A call failed.
        """
        from aep.provision.checks import check_tenant
        from aep.provision.inventory import look
        from aep.provision.plan import make_plan
        from pipelines.options.yaml_files import OptionsError

        tenant = self._services.registry.tenant_id()
        problems = list(check_tenant(self._file.wanted, tenant))
        if problems:
            raise OptionsError(self._file.refusals(problems))
        self._file = self._file.of_tenant(tenant)
        wanted, inventory = self._file.wanted, look(self._file.wanted, self._services)
        plan = make_plan(wanted, inventory, tenant, prune=prune, rotate=rotate)
        if plan.problems:
            raise OptionsError(self._file.refusals(plan.problems))
        return plan

    def _files(self, plan: Plan) -> list[Step]:
        """Return a description of the changes to the routes file and the schemas next to it."""
        from aep.provision.steps import Action, Step

        if not self._file.wanted.routes:
            return []
        if plan.work:
            action = Action.CHANGE if self._routes_file.exists() else Action.CREATE
            return [Step("file", str(self._routes_file), action, ("and its schemas, at the end",))]
        steps = []
        for path, content in self._contents(plan.ids).items():
            there = path.read_bytes() if path.is_file() else None
            action = Action.RIGHT if there == content else Action.CREATE if there is None else Action.CHANGE
            steps.append(Step("file", str(path), action))
        return steps

    def _contents(self, ids: Ids) -> dict[Path, bytes]:
        from aep.provision.routes import read_documents, route_values
        from pipelines.cli.provision.file import routes_text
        from pipelines.options.platform_access import uses_token

        wanted, services, aep = self._file.wanted, self._services, self._settings.aep
        contents = {self._schemas / each.file: each.content for each in read_documents(wanted, services, ids)}
        auth = "token" if uses_token(aep) else "oauth"
        routes = route_values(wanted, services, ids, str(aep.org_id), auth)
        contents[self._routes_file] = routes_text(self._file.path, routes, self._schemas).encode()
        return contents

    def _agreed(self, count: int) -> bool:
        if not sys.stdin.isatty():
            say("nothing was changed: use --yes to continue without a terminal, or --dry-run")
            return False
        try:
            if typer.confirm(f"{count} to do in sandbox {self._settings.aep.sandbox}: continue?"):
                return True
        except typer.Abort:
            typer.echo()
        say("nothing was changed")
        return False

    def _carry_out(self, plan: Plan, pending: list[Step]) -> int:
        from aep.errors import UserError
        from aep.provision.apply import apply

        done: list[Step] = []

        def tell(step: Step, object_id: str) -> None:
            done.append(step)
            self.document["done"].append(
                {"action": step.action.value, "what": step.kind, "name": step.name, "id": object_id}
            )
            self._console.print(f"{_past(step)} {step.kind} {step.name} ({object_id})")

        try:
            ids = apply(plan, self._services, tell)
            if self._file.wanted.routes:
                self._write(self._contents(ids))
        except UserError as error:
            say(f"error: {self._explained(error, plan.work[len(done) :])}")
            _tell_half_way(done, pending)
            return WRONG
        except KeyboardInterrupt:
            _tell_half_way(done, pending)
            return INTERRUPTED
        if notice := warm_up_notice(self._settings.aep.platform_url, done):
            self._console.print(notice)
        return 0

    def _explained(self, error: UserError, left: Sequence[Step]) -> str:
        """Return what to say of an error; of a segment that AEP rejects with file and line of its rule."""
        from aep.errors import InvalidRequestError
        from aep.provision.steps import ChangeSegment, CreateSegment

        work = left[0].work if left else None
        if isinstance(error, InvalidRequestError) and isinstance(work, CreateSegment | ChangeSegment):
            return self._file.rule_refusal(work.entry, error)
        return str(error)

    def _write(self, contents: dict[Path, bytes]) -> None:
        for path, content in contents.items():
            path.parent.mkdir(parents=True, exist_ok=True)
            if not path.is_file() or path.read_bytes() != content:
                write_whole(path, content)
                self.document["written"].append(str(path))
                self._console.print(f"wrote {path}")


def warm_up_notice(platform_url: str, done: Sequence[Step]) -> str | None:
    """Return what to wait for after new dataflows: Adobe's need some minutes, an emulator's do not."""
    from aep.platform.flow_service import FLOW_WARM_UP_SECONDS

    adobes = (urlsplit(platform_url).hostname or "").endswith(".adobe.io")
    if not adobes or not any(step.kind == "dataflow" and step.action.value == "create" for step in done):
        return None
    return f"wait {FLOW_WARM_UP_SECONDS // 60} minutes before you send data: AEP needs them for a new dataflow"


def _tell_half_way(done: list[Step], pending: list[Step]) -> None:
    left = pending[len(done) :]
    say(f"stopped halfway: {len(done)} done, {len(left)} not:")
    for step in left:
        say(f"  not done: {step.action.value} {step.kind} {step.name}")
    say("once the reason is fixed, run the same command again: it finds what was done and continues")


def _document(step: Step) -> dict[str, object]:
    return {"action": step.action.value, "what": step.kind, "name": step.name, "why": list(step.reasons)}


def _past(step: Step) -> str:
    return {"create": "created", "change": "changed", "delete": "deleted"}[step.action.value]
