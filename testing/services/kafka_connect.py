"""A Kafka Connect worker of its own, with one connector."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from testing.services import downloads
from testing.services.process import free_port

HEAP = "1g"

# Values are JSON without a schema in each; a connector may set the properties of its consumer.
_WORKER = {
    "key.converter": "org.apache.kafka.connect.storage.StringConverter",
    "value.converter": "org.apache.kafka.connect.json.JsonConverter",
    "value.converter.schemas.enable": "false",
    "connector.client.config.override.policy": "All",
    "offset.flush.interval.ms": "1000",
    "plugin.discovery": "only_scan",  # connectors of others may lack the manifests that the default asks for
}


def command(bootstrap_servers: str, connector: Mapping[str, str], class_path: str, folder: Path) -> list[str]:
    """Return the command that runs a connector until it is stopped.

    Args:
        bootstrap_servers: Where its topics are.
        connector: Its properties, with `name` and `connector.class`.
        class_path: Its jars, in Java's form.
        folder: For files of its own; an empty one.
    """
    worker = {
        **_WORKER,
        "bootstrap.servers": bootstrap_servers,
        "offset.storage.file.filename": str(folder / "offsets"),
        "listeners": f"http://127.0.0.1:{free_port()}",
    }
    files = []
    for name, properties in (("worker", worker), ("connector", connector)):
        files.append(folder / f"{name}.properties")
        files[-1].write_text("".join(f"{key}={value}\n" for key, value in properties.items()))
    jars = f"{downloads.kafka_connect_jars()}/*:{class_path}"
    logging = "-Dorg.slf4j.simpleLogger.defaultLogLevel=warn"
    main = "org.apache.kafka.connect.cli.ConnectStandalone"
    return [downloads.java(), f"-Xmx{HEAP}", logging, "-cp", jars, main, *map(str, files)]
