"""Runs both Kinesis pipelines through a long outage of Kinesis, and accounts for every record.

python -m bench.soak.kinesis [--minutes 10] [--rate 100] [--output .bench/soak-kinesis.json]
"""

from __future__ import annotations

import argparse
import logging
import shutil
import signal
import sys
import time
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, suppress
from dataclasses import asdict
from itertools import count
from pathlib import Path
from types import TracebackType
from typing import Any

import orjson
from confluent_kafka import Consumer, KafkaException, TopicPartition
from rich.console import Console

from bench.report import machine
from bench.soak.kinesis_account import Found, problems
from bench.soak.live import Live, interrupt, show_verdict
from bench.soak.pipeline import Pipeline, Run
from bench.soak.producer import SteadyProducer
from samples.loyalty import Sample
from testing.services.kafka import KafkaBroker
from testing.services.kinesis import ACCESS_KEY_ID, REGION, SECRET_ACCESS_KEY, Kinesis
from testing.services.process import ServiceError, ServiceUnavailable, wait_for

TOPIC = "profiles"
SHARDS = 4
LEAD_SECONDS = 30.0
"""Before the outage: the pipelines find their pace, and their memory what it needs."""
_START_SECONDS = 60.0
_DRAIN_SECONDS = 300.0
_TICK_SECONDS = 0.5
_COUNT_SECONDS = 2.0
_SETTLE_SECONDS = 30.0
"""Of an outage: what may be held while nothing is taken is held by then."""


def profiles() -> Iterator[Sample]:
    """Yield numbered profiles as AEP exports them."""
    audience = {
        "7841ba61-23c1-4bb3-a495-00d3g5fe1e93": {"lastQualificationTime": "2026-11-28T08:00:00Z", "status": "realized"}
    }
    for number in count():
        body = {
            "person": {"number": number},
            "segmentMembership": {"ups": audience},
            "identityMap": {"ecid": [{"id": f"{number % 50_000:038}"}]},
        }
        yield Sample(number, TOPIC, str(number).encode(), orjson.dumps(body), None, None, None)


class Soak:
    """The services and the two pipelines while its `with` block lasts.

    Args:
        folder: Where options, logs, summaries and what was read go.
        rate: Profiles a second.
        seconds: How long Kinesis is away.
        show: Is given a line twice a second.
    """

    def __init__(self, folder: Path, rate: float, seconds: float, show: Callable[[str], None]):
        self._folder, self._rate, self._seconds, self._show = folder, rate, seconds, show
        self._stack = ExitStack()
        self._count_at = 0.0
        self._lag = self._known = 0

    def __enter__(self) -> Soak:
        with ExitStack() as stack:
            self._broker = stack.enter_context(KafkaBroker())
            self._kinesis = stack.enter_context(Kinesis(state=self._folder / "kinesis.sqlite"))
            self._broker.create_topic(TOPIC, 2)
            self._stream = self._kinesis.create_stream(SHARDS)
            self._producer = SteadyProducer(self._broker.bootstrap_servers, profiles(), self._rate)
            self._group = Consumer(
                {"bootstrap.servers": self._broker.bootstrap_servers, "group.id": "soak", "log_level": 2}
            )
            stack.callback(self._group.close)
            self._pipelines = {name: self._pipeline(name, stack) for name in _OPTIONS}
            self._stack = stack.pop_all()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._stack.close()

    def _pipeline(self, name: str, stack: ExitStack) -> Pipeline:
        folder = self._folder / name
        folder.mkdir()
        options = {
            "runner": "FnApiRunner",
            "kinesis_stream": self._stream,
            "kinesis_endpoint": self._kinesis.endpoint,
            "kinesis_region": REGION,
            "kinesis_access_key_id": "env:KINESIS_KEY",
            "kinesis_secret_access_key": "env:KINESIS_SECRET",
            "dead_letter_path": str(folder / "dead-letters"),
            **_OPTIONS[name],
        }
        if name == "profiles_to_kinesis":
            options |= {"kafka_bootstrap_servers": self._broker.bootstrap_servers}
        else:
            options |= {"kinesis_checkpoint": str(folder / "checkpoint.json"), "output_path": str(folder / "output")}
        made = Pipeline(name, folder, options, {"KINESIS_KEY": ACCESS_KEY_ID, "KINESIS_SECRET": SECRET_ACCESS_KEY})
        stack.callback(made.close)
        return made

    def run(self) -> Found:
        """Carry it out.

        Raises:
            ServiceError: A service, or a pipeline again and again, did not do what it should.
        """
        for one in self._pipelines.values():
            one.start()
        self._producer.start()
        self._until(lambda: self._committed() > 0, _START_SECONDS, "starting the pipelines")
        self._for(LEAD_SECONDS, "before the outage")
        at = {name: len(one.run.memory) for name, one in self._pipelines.items()}
        self._kinesis.kill()
        self._for(self._seconds / 2, "outage: Kinesis refuses connections")
        self._kinesis.start()
        self._kinesis.process.pause()
        self._for(self._seconds / 2, "outage: Kinesis takes connections and is silent")
        growth = {name: _growth(one.run, at[name]) for name, one in self._pipelines.items()}
        self._kinesis.process.resume()
        self._producer.stop()
        self._until(lambda: self._committed() == self._producer.acknowledged, _DRAIN_SECONDS, "draining")
        kept = self._kinesis.records(self._stream)
        self._until(lambda: self._read().total() >= len(kept), _DRAIN_SECONDS, "reading")
        for one in self._pipelines.values():
            one.ask_to_stop()
            one.await_stop()
        return Found(
            produced=self._producer.acknowledged,
            stored=Counter(orjson.loads(record.data)["person"]["number"] for record in kept),
            read=self._read(),
            kept=frozenset((record.shard_id, record.sequence_number) for record in kept),
            growth_mb=growth,
            runs={name: one.runs for name, one in self._pipelines.items()},
        )

    def _for(self, seconds: float, doing: str) -> None:
        until = time.monotonic() + seconds
        while (left := until - time.monotonic()) > 0:
            self._tick(f"{doing}, {left:.0f} s more")
            time.sleep(_TICK_SECONDS)

    def _until(self, condition: Callable[[], bool], seconds: float, doing: str) -> None:
        def ticked() -> bool:
            self._tick(doing)
            return condition()

        try:
            wait_for(ticked, seconds, f"the pipelines ({doing})")
        except ServiceError as error:
            raise ServiceError("\n".join([str(error), *(one.words() for one in self._pipelines.values())])) from None

    def _tick(self, doing: str) -> None:
        self._producer.check()
        for one in self._pipelines.values():
            one.check()
        if time.monotonic() >= self._count_at:
            self._count_at = time.monotonic() + _COUNT_SECONDS
            self._lag = max(0, self._producer.acknowledged - self._committed())
        memory = [one.run.memory[-1][1] / 1e6 if one.run.memory else 0 for one in self._pipelines.values()]
        self._show(
            f"produced {self._producer.acknowledged:,}  lag {self._lag:,}  "
            f"memory: writer {memory[0]:,.0f} MB, reader {memory[1]:,.0f} MB  {doing}"
        )

    def _committed(self) -> int:
        """Return how many profiles the writer has behind it, as last known."""
        asked = [TopicPartition(TOPIC, number) for number in range(2)]
        with suppress(KafkaException):  # the broker has yet to find out who coordinates the group
            self._known = sum(max(0, one.offset) for one in self._group.committed(asked, timeout=_START_SECONDS))
        return self._known

    def _read(self) -> Counter[tuple[str, str]]:
        files = (self._folder / "kinesis_to_kafka" / "output").glob("*.jsonl")
        lines = (orjson.loads(line) for file in files for line in file.read_bytes().splitlines())
        return Counter((line["shard"], line["sequence_number"]) for line in lines)


_OPTIONS: dict[str, dict[str, Any]] = {
    "profiles_to_kinesis": {
        "kafka_topics": [TOPIC],
        "kafka_group_id": "soak",
        "kafka_bundle_max_records": 2_000,
        "kafka_bundle_max_seconds": 2,
    },
    "kinesis_to_kafka": {"kinesis_bundle_max_records": 5_000},
}


def _growth(run: Run, at: int) -> float:
    """Return how many MB a process has more than some time after the beginning of the outage, which was at a sample."""
    samples = run.memory[at:]
    if not samples:
        return 0.0
    settled = [resident for seconds, resident in samples if seconds <= samples[0][0] + _SETTLE_SECONDS]
    return (samples[-1][1] - max(settled)) / 1e6


def main(argv: Sequence[str]) -> int:
    """Run it; return the exit code."""
    parser = argparse.ArgumentParser(
        prog="python -m bench.soak.kinesis",
        description="Writes profiles to a real Apache Kafka at a steady rate, puts them on a stream of a local "
        "Kinesis, and reads that stream to files, with both pipelines as users run them. Kinesis is away for long: it "
        "first refuses connections, then takes them and is silent. At the end each profile must be on the stream, and "
        "each record of the stream must be read once. Needs Linux, Java 17 and Maven.",
        epilog="Exit code: 0 when all is accounted for; 1 when it is not, or a process takes more than 400 MB, or "
        "grows while Kinesis is away; 2 when this machine lacks something.",
    )
    parser.add_argument("--minutes", type=float, default=10, help="how long Kinesis is away (default: %(default)s)")
    parser.add_argument("--rate", type=float, default=100, help="profiles a second (default: %(default)s)")
    parser.add_argument(
        "--output", type=Path, default=Path(".bench/soak-kinesis.json"), help="JSON file (default: %(default)s)"
    )
    arguments = parser.parse_args(argv)
    if not arguments.minutes > 0 or not 1 <= arguments.rate <= 2_000:
        parser.error("--minutes must be more than 0, and --rate from 1 to 2000")
    output: Path = arguments.output
    folder = output.with_name(f"{output.stem}-files")
    if folder.exists() and not (folder / "kinesis.sqlite").exists():
        parser.error(f"{folder} is not a soak's: give another --output")
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    console = Console(stderr=True, highlight=False, soft_wrap=True, markup=False)
    logging.basicConfig(level=logging.ERROR)  # what Kafka's client remarks is no news
    for number in (signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, interrupt)
    live = Live(console)
    console.print(f"Kinesis is to be away for {arguments.minutes:g} minutes; logs are in {folder}")
    try:
        with live.shown(), Soak(folder, arguments.rate, arguments.minutes * 60, live) as soak:
            found = soak.run()
    except KeyboardInterrupt:
        console.print("interrupted; nothing is left running")
        return 130
    except ServiceUnavailable as reason:
        console.print(f"cannot run here: {reason}")
        return 2
    except ServiceError as error:
        console.print(f"error: {error}")
        return 1
    return _verdict(found, output, console)


def _verdict(found: Found, output: Path, console: Console) -> int:
    wrong = problems(found)
    runs = {name: [{**asdict(run), "log": str(run.log)} for run in runs] for name, runs in found.runs.items()}
    account = {
        "produced": found.produced,
        "on_the_stream": len(found.stored),
        "twice": found.twice,
        "duplicates_possible": found.possible,
        "read": len(found.read),
        "growth_mb": found.growth_mb,
        "problems": wrong,
    }
    output.write_bytes(
        orjson.dumps({"machine": machine(), "account": account, "runs": runs}, option=orjson.OPT_INDENT_2)
    )
    for name, value in account.items():
        if name != "problems":
            console.print(f"{name.replace('_', ' ')}: {value}")
    return show_verdict(wrong, f"{found.produced:,} profiles", console)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
