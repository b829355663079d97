"""`python -m demo`: Kafka, Experience Platform and the pipeline between them, on this machine, counted at the end."""

from __future__ import annotations

import argparse
import logging
import os
import signal
import subprocess
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path

from rich.console import Console

from demo import broker, files, tables
from demo.account import Delivered, Expected, differences
from demo.interrupts import handle_interrupts, run_to_end
from pipelines.cli.generate.records import send
from pipelines.output.table import show as show_table
from pipelines.output.table import show_fields
from samples.broken import BROKEN_KINDS
from samples.loyalty import EVENTS_TOPIC, PROFILES_TOPIC, generate, sequence_of
from testing.services.emulator import CLIENT_ID, CLIENT_SECRET, Emulator
from testing.services.process import PATIENCE_SECONDS, ServiceError, ServiceUnavailable, wait_for
from transforms.kafka.client import KafkaCluster, KafkaSetupError
from transforms.records.dead_letter import DeadLetter
from transforms.sinks.files import read_files

TOPICS = (PROFILES_TOPIC, EVENTS_TOPIC)
ORG_ID = "ACME@AdobeOrg"
_NAMESPACE = "LoyaltyId"  # of the keys of the sample

PIPELINE = ("-m", "pipelines.kafka_to_aep", "--options_file", str(files.BASE), "--options_file", str(files.OPTIONS))
_SHOWN = 10  # differences, when there are some


def parse_arguments(argv: Sequence[str] | None) -> argparse.Namespace:
    """Read the command line."""
    parser = argparse.ArgumentParser(
        prog="python -m demo",
        description="Starts Kafka and a local Adobe Experience Platform, sends sample events, some of them broken on "
        "purpose, runs the pipeline between the two, and checks where each event ended. Needs no account.",
        epilog="The exit code is 0 when every event is accounted for.",
    )
    parser.add_argument("--events", type=_count, default=100_000, metavar="N", help="how many (default: %(default)s)")
    parser.add_argument(
        "--kafka",
        choices=("embedded", "apache"),
        default="embedded",
        help="embedded: librdkafka's own small broker. apache: a real Apache Kafka, which needs Java and Maven "
        "(default: %(default)s)",
    )
    parser.add_argument(
        "--broken-share", type=_share, default=0.02, metavar="SHARE", help="0 to 1 (default: %(default)s)"
    )
    parser.add_argument(
        "--keep", action="store_true", help="leave Kafka and the emulator running at the end, until Ctrl-C"
    )
    return parser.parse_args(argv)


def _count(text: str) -> int:
    if not text.isdecimal() or not int(text):
        raise argparse.ArgumentTypeError("must be a whole number, 1 or more")
    return int(text)


def _share(text: str) -> float:
    try:
        share = float(text)
    except ValueError:
        share = -1
    if not 0 <= share <= 1:
        raise argparse.ArgumentTypeError("must be a number from 0 to 1")
    return share


def main(argv: Sequence[str] | None = None) -> int:
    """Run the demo; return its exit code."""
    arguments = parse_arguments(argv)
    console = Console(highlight=False, soft_wrap=True, markup=False)
    # What Kafka's client remarks while a broker starts is no news.
    logging.basicConfig(level=logging.ERROR)
    handle_interrupts()
    try:
        return show(arguments, console)
    except KeyboardInterrupt:
        console.print("\ninterrupted; nothing is left running")
        return 130
    except (KafkaSetupError, ServiceError, ServiceUnavailable) as error:
        console.print(f"error: {error}")
        return 2


def show(arguments: argparse.Namespace, console: Console) -> int:
    """Return the demo, step by step."""
    files.empty_folder()
    with broker.running(arguments.kafka, TOPICS) as cluster, Emulator() as emulator:
        console.print(f"1. Kafka ({arguments.kafka}) is at {cluster.bootstrap_servers}: topics {', '.join(TOPICS)}.")

        files.write_options(cluster.bootstrap_servers, emulator.url, ORG_ID, CLIENT_ID)
        files.write_provision(TOPICS)
        provision()
        console.print(
            f"2. Adobe Experience Platform, emulated, is at {emulator.url}: open it in a browser to see what arrives. "
            f"{files.PROVISION} declares what it has: for each topic a connection and a dataset, enabled for Profile."
        )

        expected = Expected.of_topics(TOPICS)
        send(
            expected.note(generate(arguments.events, broken_share=arguments.broken_share)),
            cluster,
            {topic: topic for topic in TOPICS},
        )
        check_held(cluster, arguments.events)
        kinds = {sample.broken for sample in expected.broken.values()}
        console.print(
            f"3. {arguments.events:,} sample events are in Kafka: {arguments.events - len(expected.broken):,} good, "
            f"{len(expected.broken):,} broken on purpose in {len(kinds)} of {len(BROKEN_KINDS)} ways."
        )

        console.print(f"4. The pipeline, as you would run it:\n     {command_line()}\n")
        code = run_pipeline()
        if code:
            console.print(f"the pipeline ended with exit code {code}; see its messages above")
            return code

        console.print(
            "\n5. Every event, by its number: what was sent against what arrived, once AEP has validated it.\n"
        )
        delivered = {topic: ask(emulator, inlet_id) for topic, inlet_id in files.read_inlets().items()}
        letters = list(read_files(str(files.DEAD_LETTERS)))
        show_table(console, tables.arrivals(expected, delivered))
        if letters or expected.broken:
            show_table(console, tables.dead_letters(expected, letters))
        if letters:
            show_fields(console, tables.example(letters), f"One dead letter of {files.DEAD_LETTERS}{os.sep}")
        console.print(look_next(arguments.keep, emulator, some_member(arguments.events)))
        code = verdict(console, arguments.events, expected, delivered, letters)
        if arguments.keep:
            wait_for_interrupt(console)
        return code


def provision() -> None:
    """Create in the emulator what the file declares, and the routes file.

    Raises:
        ServiceError: It has failed; the message has its words.
    """
    arguments = ("provision", "-f", str(files.PROVISION), f"--options_file={files.OPTIONS}", "--yes")
    command = [sys.executable, "-m", "pipelines.cli", *arguments]
    done = subprocess.run(command, env=environment(), capture_output=True, text=True, check=False)  # noqa: S603 - our own
    if done.returncode:
        raise ServiceError(f"beam-aep provision failed:\n{done.stderr}")


def environment() -> dict[str, str]:
    """Return the variables of the programs, with what the options refer to."""
    return {**os.environ, files.SECRET: CLIENT_SECRET}


def check_held(cluster: KafkaCluster, events: int) -> None:
    """Make sure that Kafka still has every event.

    Raises:
        ServiceError: The embedded broker has thrown some away.
    """
    kept = broker.held(cluster, TOPICS)
    if kept != events:
        raise ServiceError(
            f"Kafka holds {kept:,} of the {events:,} events, more than the embedded broker can hold; "
            "use fewer --events, or --kafka apache"
        )


def command_line() -> str:
    """Return the pipeline's command line, to be copied."""
    return " ".join([f"{files.SECRET}={CLIENT_SECRET}", os.path.relpath(sys.executable), *PIPELINE])


def beam_aep(arguments: str) -> str:
    """Return the command line of one of `beam-aep`, to be copied."""
    program = os.path.relpath(Path(sys.executable).with_name("beam-aep"))
    return f"{files.SECRET}={CLIENT_SECRET} {program} {arguments} --options_file={files.OPTIONS}"


def run_pipeline() -> int:
    """Run the pipeline to its end; its progress and its account go to the terminal."""
    return run_to_end([sys.executable, *PIPELINE, "--progress=on"], environment())


def ask(emulator: Emulator, inlet_id: str) -> Delivered:
    """Return what an inlet has received, once everything in it went through the platform's own validation."""
    wait_for(lambda: emulator.stats()["pending_validation"] == 0, PATIENCE_SECONDS, "the emulator's validation")
    stats = emulator.inlet_stats(inlet_id)
    accepted = {sequence_of(record_id): times for record_id, times in emulator.ids(inlet_id).items()}
    return Delivered(accepted, stats["requests"], stats["invalid"])


def some_member(events: int) -> str:
    """Return the number of a member who is in the sample, by preference with an event."""
    samples = list(generate(min(events, 2)))  # the first is a profile, the second an event
    return samples[-1].key.decode()


def look_next(keep: bool, emulator: Emulator, member: str) -> str:
    """Return what the user can look at, and try."""
    lines = [
        "\nWhere to look next:",
        f"  {files.OPTIONS} and {files.ROUTES}: the options of this run, on top of {files.BASE}",
        f"  {files.DEAD_LETTERS}{os.sep}: each refused event with its reason and its original bytes",
        f"  {files.SUMMARY}: the pipeline's report as JSON, for scripts",
    ]
    if keep:
        lines += [
            f"  {emulator.url}: what arrived, in a browser",
            f"  {emulator.url}/profiles?namespace={_NAMESPACE}&id={member}: a profile with its events",
            "In another terminal, send more events, run the pipeline again, and see what arrived:",
            f"  {beam_aep('generate 1000 --seed=8')}",
            f"  {command_line()}",
            f"  {beam_aep(f'lookup --namespace={_NAMESPACE} --id={member} --events')}",
        ]
    else:
        again = f"{os.path.relpath(sys.executable)} -m demo --keep"
        lines.append(
            f"  {again}: the same, but Kafka and the emulator keep running, to look at and for runs of your own"
        )
    return "\n".join(lines) + "\n"


def verdict(
    console: Console,
    events: int,
    expected: Expected,
    delivered: Mapping[str, Delivered],
    letters: Sequence[DeadLetter],
) -> int:
    """Say whether every event is accounted for; return the exit code."""
    wrong = differences(expected, delivered, letters)
    for sentence in wrong[:_SHOWN]:
        console.print(sentence, style="red")
    if len(wrong) > _SHOWN:
        console.print(f"and {len(wrong) - _SHOWN:,} more like these", style="red")
    if wrong:
        console.print(f"not all of the {events:,} events are accounted for", style="bold red")
        return 1
    console.print(f"every one of {events:,} events is accounted for", style="bold green")
    return 0


def wait_for_interrupt(console: Console) -> None:
    """Return at Ctrl-C."""
    try:
        console.print("Kafka and the emulator run until Ctrl-C")
        signal.pause()
    except KeyboardInterrupt:
        return


if __name__ == "__main__":
    sys.exit(main())
