"""Records with header names of any bytes, which the Python producer refuses: by librdkafka's own C interface."""

from __future__ import annotations

import ctypes
from collections.abc import Iterable
from pathlib import Path

import confluent_kafka

from testing.services.process import PATIENCE_SECONDS

Message = tuple[bytes, bytes, list[tuple[bytes, bytes]]]  # key, value, headers

# rdkafka.h, rd_kafka_type_t and rd_kafka_vtype_t.
_PRODUCER = 0
_END, _TOPIC, _PARTITION, _VALUE, _KEY, _MSGFLAGS, _HEADER = 0, 1, 3, 4, 5, 7, 9
_COPY = 2


def produce(bootstrap_servers: str, topic: str, messages: Iterable[Message], partition: int = 0) -> None:
    folder = Path(confluent_kafka.__file__).parents[1] / "confluent_kafka.libs"
    library = ctypes.CDLL(str(next(folder.glob("librdkafka*.so*"))))
    library.rd_kafka_conf_new.restype = library.rd_kafka_new.restype = ctypes.c_void_p
    why = ctypes.create_string_buffer(512)
    conf = ctypes.c_void_p(library.rd_kafka_conf_new())
    library.rd_kafka_conf_set(conf, b"bootstrap.servers", bootstrap_servers.encode(), why, 512)
    producer = ctypes.c_void_p(library.rd_kafka_new(_PRODUCER, conf, why, 512))
    assert producer, why.value
    try:
        for key, value, headers in messages:
            arguments: list[object] = [_TOPIC, topic.encode(), _PARTITION, partition, _MSGFLAGS, _COPY]
            arguments += [_KEY, key, ctypes.c_size_t(len(key)), _VALUE, value, ctypes.c_size_t(len(value))]
            for name, content in headers:
                arguments += [_HEADER, name, content, ctypes.c_ssize_t(len(content))]
            assert library.rd_kafka_producev(producer, *arguments, _END) == 0
        assert library.rd_kafka_flush(producer, PATIENCE_SECONDS * 1_000) == 0
    finally:
        library.rd_kafka_destroy(producer)
