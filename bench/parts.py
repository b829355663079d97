"""The parts of the benchmarks, in the order in which they run."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

from bench import (
    adobe_bench,
    flink_bench,
    growth_bench,
    kafka_bench,
    kinesis_bench,
    kinesis_put_bench,
    kinesis_rates_bench,
    latency_bench,
    memory_bench,
    plain_bench,
    processes_bench,
    transforms_bench,
)
from bench.figure import Figure


class Settings(NamedTuple):
    """What is measured, and for how long; see the help."""

    events: int
    rounds: int
    idle_seconds: float
    latency_seconds: float
    shard_seconds: float
    memory_seconds: float
    adobe_connector: str
    flink: bool


class Part(NamedTuple):
    """A part of the benchmarks.

    Attributes:
        title: What it measures.
        measure: Does so; returns the raw numbers.
        figures: Makes figures of these.
        lacks: Says what settings lack for it; "" where it can run.
    """

    title: str
    measure: Callable[[Settings], Any]
    figures: Callable[[Any], Sequence[Figure]]
    lacks: Callable[[Settings], str] = lambda _: ""


PARTS = {
    "steps": Part(
        "parse, validate, serialise: {rounds} rounds of {events:,} events",
        lambda to: transforms_bench.measure(to.events, to.rounds),
        transforms_bench.figures,
    ),
    "kinesis-read": Part(
        "read Kinesis: {idle_seconds:g} s of nothing, {rounds} rounds of {events:,} records",
        lambda to: kinesis_bench.measure(to.events, to.rounds, to.idle_seconds),
        kinesis_bench.figures,
    ),
    "kinesis-write": Part(
        "write Kinesis: {rounds} rounds of half of {events:,} records, then runs of a tenth and 10 times that",
        lambda to: kinesis_put_bench.measure(to.events // 2, to.rounds),
        kinesis_put_bench.figures,
    ),
    "kinesis-rates": Part(
        "rates of Kinesis: {rounds} rounds of a quarter of {events:,} records, 2 times {shard_seconds:g} s",
        lambda to: kinesis_rates_bench.measure(to.events // 4, to.rounds, to.shard_seconds),
        kinesis_rates_bench.figures,
    ),
    "kafka": Part(
        "Kafka to accepted: {rounds} rounds of {events:,} events",
        lambda to: kafka_bench.measure(to.events, to.rounds, to.idle_seconds),
        kafka_bench.figures,
    ),
    "plain": Part(
        "against a plain script: {rounds} rounds of {events:,} events, 4 kinds",
        lambda to: plain_bench.measure(to.events, to.rounds),
        plain_bench.figures,
    ),
    "latency": Part(
        "latency: {rounds} rounds of {latency_seconds:g} s at each rate",
        lambda to: latency_bench.measure(to.latency_seconds, to.rounds),
        latency_bench.figures,
    ),
    "processes": Part(
        "two processes against one: {rounds} rounds of {events:,} events",
        lambda to: processes_bench.measure(to.events, to.rounds),
        processes_bench.figures,
    ),
    "growth": Part(
        "growth: {rounds} rounds of {events:,} events, then a run of 10 times that",
        lambda to: growth_bench.measure(to.events, to.rounds),
        growth_bench.figures,
    ),
    "adobe": Part(
        "beside Adobe's Kafka Connect sink: {rounds} rounds of {events:,} messages, without latency and with it",
        lambda to: adobe_bench.measure(to.events, to.rounds, to.adobe_connector),
        adobe_bench.figures,
        lambda to: "" if to.adobe_connector else "give the class path of Adobe's connector with --adobe_connector",
    ),
    "memory": Part(
        "memory: a run of {memory_seconds:g} s, AEP away for half of it",
        lambda to: memory_bench.measure(to.memory_seconds),
        memory_bench.figures,
    ),
    "flink": Part(
        "Flink: {rounds} rounds of {events:,} events, and of {latency_seconds:g} s",
        lambda to: flink_bench.measure(to.events, to.rounds, to.latency_seconds),
        flink_bench.figures,
        lambda to: "" if to.flink else "ask for it with --flink: it takes 5 minutes a round",
    ),
}
