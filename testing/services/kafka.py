"""A real Apache Kafka broker on 127.0.0.1: KRaft, its data in a folder of its own; a second one may join it."""

from __future__ import annotations

import subprocess
import tempfile
import uuid
from collections.abc import Callable, Iterable, Mapping
from concurrent.futures import TimeoutError as FutureTimeout
from contextlib import suppress
from pathlib import Path
from types import TracebackType
from typing import TypeVar

from confluent_kafka import (
    OFFSET_BEGINNING,
    Consumer,
    IsolationLevel,
    KafkaError,
    KafkaException,
    Message,
    Producer,
    TopicPartition,
)
from confluent_kafka.admin import AdminClient, NewPartitions, NewTopic, OffsetSpec

from testing.services import downloads
from testing.services.process import PATIENCE_SECONDS, ServiceError, ServiceProcess, free_port, is_listening, wait_for

T = TypeVar("T")

# Key, value, headers, partition; without a partition the key decides.
Record = tuple[bytes | None, bytes | None, list[tuple[str, bytes]] | None, int | None]

MAX_MESSAGE_BYTES = 50_000_000  # what our clients allow; the topic's max.message.bytes decides
# A coordinator answers so while it loads its part of __consumer_offsets, right after a start.
COORDINATOR_NOT_YET = {
    KafkaError.NOT_COORDINATOR,
    KafkaError.COORDINATOR_NOT_AVAILABLE,
    KafkaError.COORDINATOR_LOAD_IN_PROGRESS,
}

# Internal topics are small and unreplicated, for a quick start; records never expire, for tests date them freely.
SERVER_PROPERTIES = """\
process.roles={roles}
node.id={node}
controller.quorum.voters=1@127.0.0.1:{controller_port}
controller.listener.names=CONTROLLER
listeners={listeners}
advertised.listeners=PLAINTEXT://127.0.0.1:{port}
log.dirs={data}
auto.create.topics.enable=false
log.retention.ms=-1
offsets.topic.replication.factor=1
offsets.topic.num.partitions=4
transaction.state.log.replication.factor=1
transaction.state.log.min.isr=1
transaction.state.log.num.partitions=4
group.initial.rebalance.delay.ms=0
group.min.session.timeout.ms=1000
group.consumer.min.heartbeat.interval.ms=500
group.consumer.heartbeat.interval.ms=500
group.consumer.min.session.timeout.ms=10000
group.consumer.session.timeout.ms=10000
broker.heartbeat.interval.ms=250
broker.session.timeout.ms={session_ms}
log.cleaner.dedupe.buffer.size=4000000
"""


class KafkaBroker:
    """A broker while its `with` block lasts.

    `stop`, `kill` and `start` may be called in between: port and data stay. With `joins` it is the second
    broker of that one's cluster, for topics with two replicas.
    """

    _more_properties = ""  # lines of server.properties that a subclass adds; they win over those above them

    def __init__(self, joins: KafkaBroker | None = None, session_ms: int = 6_000) -> None:
        """`session_ms` after its last heartbeat the controller takes a broker for dead, and nothing has a leader.

        A crashed broker starts again only then. A busy machine may keep a broker from its heartbeats for seconds.
        """
        self._session_ms = session_ms
        self.port = free_port()
        self.node = 2 if joins else 1
        self._cluster_id: str = joins._cluster_id if joins else uuid.uuid4().hex[:22]
        self._controller_port: int = joins._controller_port if joins else free_port()
        self.bootstrap_servers = f"127.0.0.1:{self.port}"
        self._folder = tempfile.TemporaryDirectory(prefix="kafka-")
        self._process: ServiceProcess | None = None

    def __enter__(self) -> KafkaBroker:
        self._classpath = f"{downloads.kafka_jars()}/*"
        self._properties = Path(self._folder.name, "server.properties")
        roles, listeners = ["broker"], [f"PLAINTEXT://127.0.0.1:{self.port}"]
        if self.node == 1:
            roles.append("controller")
            listeners.append(f"CONTROLLER://127.0.0.1:{self._controller_port}")
        self._properties.write_text(
            SERVER_PROPERTIES.format(
                node=self.node,
                session_ms=self._session_ms,
                roles=",".join(roles),
                listeners=",".join(listeners),
                port=self.port,
                controller_port=self._controller_port,
                data=Path(self._folder.name, "data"),
            )
            + self._more_properties
        )
        format_storage = ["kafka.tools.StorageTool", "format", "-t", self._cluster_id, "-c", str(self._properties)]
        done = subprocess.run([*self._java("64m"), *format_storage], capture_output=True, text=True, check=False)
        if done.returncode:
            raise ServiceError(f"Kafka could not format its storage:\n{done.stdout}{done.stderr}")
        self.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._process:
            self._process.kill()
        self._folder.cleanup()

    def start(self) -> None:
        """Start the broker, again after `stop` or `kill`, and return when it serves requests."""
        self._process = ServiceProcess(
            "Apache Kafka",
            [*self._java("512m"), "kafka.Kafka", str(self._properties)],
            Path(self._folder.name, "kafka.log"),
        )
        self._process.wait_until_ready(self._serves, PATIENCE_SECONDS)

    def stop(self) -> None:
        """Shut the broker down in good order."""
        self.process.terminate()

    def kill(self) -> None:
        self.process.kill()

    def pause(self) -> None:
        """Freeze the broker: connections stay open and nothing answers."""
        self.process.pause()

    def resume(self) -> None:
        """Let a paused broker go on."""
        self.process.resume()

    @property
    def process(self) -> ServiceProcess:
        """The broker's process, of the last `start`."""
        if self._process is None:
            raise ServiceError("the broker was never started: use it in a with block")
        return self._process

    def create_topic(self, name: str, partitions: int = 1, replicas: int = 1, **config: str | int) -> None:
        """Create a topic and wait until it can be written to.

        `config` holds topic settings, their dots written as underscores: `max_message_bytes=2_000_000`.
        """
        settings = {key.replace("_", "."): str(value) for key, value in config.items()}
        topic = NewTopic(name, num_partitions=partitions, replication_factor=replicas, config=settings)
        admin = self._admin()
        admin.create_topics([topic])[name].result(PATIENCE_SECONDS)
        self._await_leaders(name, partitions)

    def delete_topic(self, name: str) -> None:
        admin = self._admin()
        admin.delete_topics([name])[name].result(PATIENCE_SECONDS)

    def create_topic_again(self, name: str, partitions: int) -> None:
        """Delete a topic, create it under the same name, and wait until it can be written to."""
        self.delete_topic(name)

        def created() -> bool:
            try:
                self.create_topic(name, partitions)
            except KafkaException as error:
                if error.args[0].code() != KafkaError.TOPIC_ALREADY_EXISTS:
                    raise
                return False  # it is still being deleted
            return True

        wait_for(created, PATIENCE_SECONDS, f"{name} to be created again")

    def leaders(self, name: str) -> list[int]:
        """Return the node that leads each partition of a topic."""
        partitions = self._admin().list_topics(name, timeout=PATIENCE_SECONDS).topics[name].partitions
        return [partitions[number].leader for number in sorted(partitions)]

    def add_partitions(self, name: str, total: int) -> None:
        """Raise a topic's number of partitions to `total` and wait until they can be written to."""

        def added() -> bool:
            # A broker that was frozen a moment ago may never answer the first request.
            admin = self._admin()
            asked = admin.create_partitions([NewPartitions(name, total)], request_timeout=5)[name]
            with suppress(KafkaException, FutureTimeout):
                asked.result(10)
            with suppress(KafkaException):
                return len(self._partitions(name)) == total
            return False

        wait_for(added, PATIENCE_SECONDS, f"{total} partitions of {name}")
        self._await_leaders(name, total)

    def produce(self, topic: str, records: Iterable[Record]) -> None:
        """Write the records and return when the broker has them all.

        Raises:
            KafkaException: A record was refused.
            ServiceError: Some were not delivered in time.
        """
        failures: list[KafkaError] = []

        def delivered(error: KafkaError | None, _: Message) -> None:
            if error:
                failures.append(error)

        producer = Producer(
            {
                "bootstrap.servers": self.bootstrap_servers,
                "linger.ms": 20,
                "batch.size": 1_000_000,
                "message.max.bytes": MAX_MESSAGE_BYTES,
                "queue.buffering.max.messages": 0,
            }
        )
        for count, (key, value, headers, partition) in enumerate(records):
            while True:
                try:
                    producer.produce(
                        topic,
                        value,
                        key,
                        headers=headers or [],
                        partition=-1 if partition is None else partition,
                        on_delivery=delivered,
                    )
                    break
                except BufferError:
                    producer.poll(1)
            if count % 1000 == 0:
                producer.poll(0)
        left = producer.flush(PATIENCE_SECONDS)
        if failures:
            raise KafkaException(failures[0])
        if left:
            raise ServiceError(f"{left} records for {topic} not delivered after {PATIENCE_SECONDS} s")

    def end_offsets(self, topic: str, *, stable: bool = False) -> dict[int, int]:
        """Return partition to the offset that its next record will get.

        Args:
            topic: Its name.
            stable: Or, while a transaction is open, the offset of its first record.
        """
        asked = {TopicPartition(topic, number): OffsetSpec.latest() for number in self._partitions(topic)}
        admin = self._admin()
        level = IsolationLevel.READ_COMMITTED if stable else IsolationLevel.READ_UNCOMMITTED
        answers = admin.list_offsets(asked, isolation_level=level)
        return {key.partition: answer.result(PATIENCE_SECONDS).offset for key, answer in answers.items()}

    def committed(self, group: str, topic: str) -> dict[int, int]:
        """Return partition to the offset that the group has committed; partitions without one are left out."""
        # Not by the admin client: librdkafka 2.16's crashes when a group's coordinator says that it is none.
        consumer = Consumer({"bootstrap.servers": self.bootstrap_servers, "group.id": group, "log_level": 3})
        asked = [TopicPartition(topic, number) for number in self._partitions(topic)]
        try:
            found = _once_coordinated(lambda: list(consumer.committed(asked, timeout=PATIENCE_SECONDS)))
            return {one.partition: one.offset for one in found if one.offset >= 0}
        finally:
            consumer.close()

    def members(self, group: str) -> int:
        """Return how many members of a group have partitions; ask only once something is committed."""
        admin = self._admin()
        found = admin.describe_consumer_groups([group])[group].result(PATIENCE_SECONDS)
        return sum(bool(one.assignment and one.assignment.topic_partitions) for one in found.members)

    def delete_records(self, topic: str, before: Mapping[int, int]) -> None:
        """Delete the records of each partition before an offset, as expiry does."""
        admin = self._admin()
        deleted = admin.delete_records([TopicPartition(topic, number, offset) for number, offset in before.items()])
        for future in deleted.values():
            future.result(PATIENCE_SECONDS)

    def consume_all(self, topic: str) -> list[Message]:
        """Return every record that the topic holds now, transactions committed, in the order of each partition."""
        consumer = Consumer(
            {
                "bootstrap.servers": self.bootstrap_servers,
                "group.id": f"consume-all-{uuid.uuid4()}",  # librdkafka wants one; nothing is committed
                "enable.auto.commit": False,
                "enable.partition.eof": True,
                "fetch.message.max.bytes": MAX_MESSAGE_BYTES,
            }
        )
        try:
            unread = self._partitions(topic)
            consumer.assign([TopicPartition(topic, number, OFFSET_BEGINNING) for number in unread])
            messages: list[Message] = []
            while unread:
                message = consumer.poll(PATIENCE_SECONDS)
                if message is None:
                    raise ServiceError(f"nothing from {topic} for {PATIENCE_SECONDS} s, left: {unread}")
                if not (error := message.error()):
                    messages.append(message)
                elif error.code() == KafkaError._PARTITION_EOF:
                    unread.discard(message.partition())
                else:
                    raise KafkaException(error)
            return messages
        finally:
            consumer.close()

    def _serves(self) -> bool:
        if not is_listening(self.port):
            return False
        try:  # the port opens a little before the controller lets the broker in
            return bool(self._admin().list_topics(timeout=1).brokers)
        except KafkaException:
            return False

    def _java(self, heap: str) -> list[str]:
        logging = "-Dorg.slf4j.simpleLogger.defaultLogLevel=warn"
        return [downloads.java(), f"-Xmx{heap}", "-XX:+UseSerialGC", logging, "-cp", self._classpath]

    def _admin(self) -> AdminClient:
        # Callers keep it in a variable until they have their answer: its end cancels what is under way.
        return AdminClient({"bootstrap.servers": self.bootstrap_servers, "log_level": 3})

    def _partitions(self, topic: str) -> set[int]:
        found = self._admin().list_topics(topic, timeout=PATIENCE_SECONDS).topics[topic]
        if found.error:
            raise KafkaException(found.error)
        return set(found.partitions)

    def _await_leaders(self, topic: str, partitions: int) -> None:
        admin = self._admin()

        def led() -> bool:
            found = admin.list_topics(topic, timeout=PATIENCE_SECONDS).topics[topic].partitions
            return len(found) == partitions and all(each.leader >= 0 for each in found.values())

        wait_for(led, PATIENCE_SECONDS, f"{partitions} partitions of {topic} to have a leader")


class RunningBroker(KafkaBroker):
    """A broker that is shared: it can be used, and not be stopped, frozen or joined."""

    def __init__(self, bootstrap_servers: str) -> None:
        self.bootstrap_servers = bootstrap_servers
        self._process = None

    def start(self) -> None:
        """Refuses: the broker is not this test's.

        Raises:
            ServiceError: Always.
        """
        raise ServiceError("this broker is shared by all tests: take own_broker")

    @property
    def process(self) -> ServiceProcess:
        """None is available.

        Raises:
            ServiceError: Always.
        """
        raise ServiceError("this broker is shared by all tests: take own_broker")


def _once_coordinated(ask: Callable[[], T]) -> T:
    """Return the answer of a group coordinator, which right after a start is still loading."""

    def attempt() -> list[T]:
        try:
            return [ask()]
        except KafkaException as error:
            if error.args[0].code() not in COORDINATOR_NOT_YET:
                raise
            return []

    return wait_for(attempt, PATIENCE_SECONDS, "a group coordinator")[0]
