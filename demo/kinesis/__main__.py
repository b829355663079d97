"""`python -m demo.kinesis`: audiences and a destination to Kinesis, profiles in, records out, counted at the end."""

from __future__ import annotations

import argparse
import os
import shutil
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import orjson
import yaml
from rich.console import Console

from demo.interrupts import handle_interrupts, run_to_end
from demo.kinesis.changes import CHANGES, Change, Profile, count, differences, expected, exported, member_of, rounds
from pipelines.output.layout import Column
from pipelines.output.table import Table
from pipelines.output.table import show as show_table
from samples.fragments import MEMBERS
from testing.services.emulator import CLIENT_ID, CLIENT_SECRET
from testing.services.kinesis import ACCESS_KEY_ID, REGION, SECRET_ACCESS_KEY, Kinesis
from testing.services.process import PATIENCE_SECONDS, ServiceError, wait_for

CONFIGS = Path(os.path.relpath(Path(__file__).parents[2])) / "configs"
FOLDER = Path(".demo-kinesis")
OPTIONS, ROUTES, PROFILES_ROUTE = FOLDER / "aep.yaml", FOLDER / "routes.yaml", FOLDER / "profiles-route.yaml"
RECEIVED = FOLDER / "received"
STREAM, AUDIENCE = "loyalty-profiles", "Gold members"  # as configs/provision-kinesis.yaml has them
_SHOWN = 10  # differences, when there are some
_WORDS: dict[Change, str] = {
    "entered": "entered the audience",
    "left": "left it",
    "changed": "written inside it, with new values or the same",
    "outside": "written outside it: not exported",
}


class StepFailedError(Exception):
    """A command of the demo has failed; it has said why."""


def parse_arguments(argv: Sequence[str] | None) -> argparse.Namespace:
    """Read the command line."""
    parser = argparse.ArgumentParser(
        prog="python -m demo.kinesis",
        description="Starts a local Adobe Experience Platform and a local Amazon Kinesis, provisions an audience and "
        "a destination, writes profiles that enter and leave the audience, reads the stream with the pipeline, and "
        "checks that every change of a profile was exported. Needs no account.",
        epilog="The exit code is 0 when every change is accounted for.",
    )
    parser.add_argument(
        "--members",
        type=int,
        choices=range(1, MEMBERS + 1),
        default=500,
        metavar="N",
        help=f"how many, 1 to {MEMBERS:,} (default: %(default)s)",
    )
    return parser.parse_args(argv)


def main(argv: Sequence[str] | None = None) -> int:
    """Run the demo; return its exit code."""
    arguments = parse_arguments(argv)
    console = Console(highlight=False, soft_wrap=True, markup=False)
    handle_interrupts()
    try:
        with Kinesis() as platform:
            return show(arguments.members, platform, console)
    except KeyboardInterrupt:
        console.print("\ninterrupted; nothing is left running")
        return 130
    except StepFailedError as error:
        console.print(f"error: {error}; see its messages above", style="bold red")
        return 2
    except ServiceError as error:
        console.print(f"error: {error}", style="bold red")
        return 2


def show(members: int, platform: Kinesis, console: Console) -> int:
    """Go through the demo, step by step."""
    shutil.rmtree(FOLDER, ignore_errors=True)
    FOLDER.mkdir()
    platform.client().create_stream(StreamName=STREAM, ShardCount=1)
    platform.wait_until_active(STREAM)
    console.print(
        f"1. Adobe Experience Platform, emulated, is at {platform.url}, Amazon Kinesis at {platform.endpoint}, with "
        f"the stream {STREAM}."
    )

    write_options(platform.url)
    console.print("2. Schemas, datasets, the audience and the destination, from two files:\n")
    for name in ("provision.yaml", "provision-kinesis.yaml"):
        beam_aep(console, "provision", "-f", str(CONFIGS / name), f"--options_file={OPTIONS}", "--yes")
    write_profiles_route()

    written = rounds(members)
    console.print(f"\n3. {members:,} members join; then some change their tier, others their points, others nothing.\n")
    for number, profiles in enumerate(written, start=1):
        send(console, number, profiles)
        wait_for(lambda: is_exported(platform), PATIENCE_SECONDS, "the export")

    console.print("\n4. The stream, read by the pipeline that brings exported profiles to Kafka, here into files:\n")
    receive(console, platform)
    lines = [orjson.loads(line) for path in sorted(RECEIVED.iterdir()) for line in path.read_bytes().splitlines()]

    audience = audience_id(platform, lines)
    wanted, found = expected(written), exported(lines, audience)
    show_one(console, wanted, lines)
    console.print("\n6. Every change of a profile: what was written against what the stream holds.\n")
    show_table(console, table(count(wanted), count(found)))
    wrong = differences(wanted, found)
    for sentence in wrong[:_SHOWN]:
        console.print(sentence, style="red")
    changes = sum(len(each) for each in wanted.values())
    if wrong:
        console.print(f"the records of {len(wrong):,} members are not as expected", style="bold red")
        return 1
    console.print(f"every one of {changes:,} changes of {members:,} profiles is accounted for", style="bold green")
    return 0


def write_options(url: str) -> None:
    """Write the options of all commands."""
    options = {
        "runner": "FnApiRunner",
        "aep_platform_url": url,
        "aep_ims_url": url,
        "aep_org_id": "ACME@AdobeOrg",
        "aep_auth": "oauth",
        "aep_client_id": CLIENT_ID,
        "aep_client_secret": "env:AEP_CLIENT_SECRET",
        "routes_file": str(ROUTES),
        "dead_letter_path": str(FOLDER / "dead-letters"),
    }
    OPTIONS.write_text(f"# Written by the demo.\n{yaml.safe_dump(options, sort_keys=False)}")


def write_profiles_route() -> None:
    """Write the route of profiles alone, of those that `provision` has written: files go to a single route."""
    routes = yaml.safe_load(ROUTES.read_text())["routes"]
    profiles = [route for route in routes if route["name"] == "profiles"]
    PROFILES_ROUTE.write_text(f"# Written by the demo.\n{yaml.safe_dump({'routes': profiles}, sort_keys=False)}")


def environment() -> dict[str, str]:
    """Return the variables of the commands: what the options refer to, and a key for the local Kinesis."""
    return {
        **os.environ,
        "AEP_CLIENT_SECRET": CLIENT_SECRET,
        "STREAM_KEY_ID": ACCESS_KEY_ID,
        "STREAM_SECRET": SECRET_ACCESS_KEY,
        "AWS_ACCESS_KEY_ID": ACCESS_KEY_ID,
        "AWS_SECRET_ACCESS_KEY": SECRET_ACCESS_KEY,
    }


def beam_aep(console: Console, *arguments: str) -> None:
    """Run a command of `beam-aep`; its output goes to the terminal."""
    run(console, "beam-aep", "-m", "pipelines.cli", *arguments)


def run(console: Console, name: str, *arguments: str) -> None:
    """Run a program of ours, and say how a user would.

    Raises:
        StepFailedError: It has failed.
    """
    rest = arguments[2:] if name == "beam-aep" else arguments
    console.print(f"   {' '.join([name, *rest])}", style="dim")
    if run_to_end([sys.executable, *arguments], environment()):
        raise StepFailedError(f"{name} failed")


def send(console: Console, number: int, profiles: Sequence[Profile]) -> None:
    """Write the profiles to a file, and bring them to AEP by the pipeline."""
    path = FOLDER / f"profiles-{number}.jsonl"
    path.write_bytes(b"".join(orjson.dumps(profile) + b"\n" for profile in profiles))
    options = ("--kafka_source=file", f"--kafka_file_pattern={path}", f"--routes_file={PROFILES_ROUTE}")
    run(console, "python", "-m", "pipelines.kafka_to_aep", f"--options_file={OPTIONS}", *options)


def is_exported(platform: Kinesis) -> bool:
    """Return whether all that was accepted is validated, and no export is waiting."""
    return platform.stats()["pending_validation"] == 0 and platform.local("GET", "exports")["waiting"] == 0


def receive(console: Console, platform: Kinesis) -> None:
    """Read the stream to its end."""
    run(
        console,
        "python",
        "-m",
        "pipelines.kinesis_to_kafka",
        "--runner=FnApiRunner",
        f"--kinesis_stream={STREAM}",
        f"--kinesis_region={REGION}",
        f"--kinesis_endpoint={platform.endpoint}",
        "--kinesis_stop_at=end",
        f"--kinesis_checkpoint={FOLDER / 'checkpoint.json'}",
        f"--output_path={RECEIVED}",
        f"--dead_letter_path={FOLDER / 'not-profiles'}",
    )


def audience_id(platform: Kinesis, lines: Sequence[Any]) -> str:
    """Return the id of the audience: the only one that the records name."""
    ids = {one for line in lines for one in line["profile"]["segmentMembership"]["ups"]}
    if len(ids) != 1:
        raise ServiceError(f"the records name {len(ids)} audiences, not one")
    return str(ids.pop())


def show_one(console: Console, wanted: dict[str, list[Change]], lines: Sequence[Any]) -> None:
    """Print the records of one profile that enters the audience and leaves it."""
    member = next((member for member, changes in wanted.items() if changes == ["entered", "left"]), None)
    if member is None:
        return
    console.print(f"\n5. The records of {member}, which entered the audience and left it again:\n")
    for line in lines:
        if member_of(line["profile"]) == member:
            console.print(f"   aep.membership: {line['membership']}, partition key: {line['partition_key']}")
            for name, value in line["profile"].items():
                console.print(f"     {name}: {orjson.dumps(value).decode()}", style="dim")


def table(wanted: dict[Change, int], found: dict[Change, int]) -> Table:
    """Return a row for each kind of change."""
    columns = Column("change"), Column("changes", "number"), Column("records", "number")
    grid = Table(f'Profiles and the audience "{AUDIENCE}"', columns)
    for change in CHANGES:
        grid.add(_WORDS[change], f"{wanted.get(change, 0):,}", f"{found.get(change, 0):,}")
    return grid


if __name__ == "__main__":
    sys.exit(main())
