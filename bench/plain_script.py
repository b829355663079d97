"""What a careless script costs that does the pipeline's work without its promises: the baseline of `bench.plain_bench`.

It reads a topic, checks each record with a JSON Schema and posts batches by threads. It knows no rules beyond the
schema, looks at no answer but its status, and has no dead letters and no account: a record that is not valid, or that
AEP refuses, is gone. It shares nothing with the pipeline.

python -m bench.plain_script BROKERS TOPIC GROUP RECORDS INLET_URL DATASET_ID SCHEMA_FILE entity|message
"""

import json
import sys
from concurrent.futures import Future, ThreadPoolExecutor
from pathlib import Path
from threading import BoundedSemaphore, local

import jsonschema_rs
import orjson
import requests
from confluent_kafka import Consumer

THREADS = 8
# The pipeline's defaults.
MAX_MESSAGES = 1_000
MAX_BYTES = 950_000


def main(
    brokers: str, topic: str, group: str, records: str, inlet_url: str, dataset: str, schema_file: str, payload: str
) -> None:
    schema = json.loads(Path(schema_file).read_bytes())
    validator = jsonschema_rs.validator_for(schema)
    reference = {"id": schema["$id"], "contentType": "application/vnd.adobe.xed-full+json;version=1"}
    header = {"schemaRef": reference, "imsOrgId": "ACME@AdobeOrg", "datasetId": dataset}
    envelope = orjson.dumps({"header": header, "body": {"xdmMeta": {"schemaRef": reference}, "xdmEntity": 0}})
    before, after = envelope[:-3], envelope[-2:]
    url = inlet_url.replace("/collection/", "/collection/batch/")
    of_thread, slots, posts = local(), BoundedSemaphore(THREADS + 1), list[Future[None]]()

    def post(messages: list[bytes]) -> None:
        try:
            if not hasattr(of_thread, "session"):
                of_thread.session = requests.Session()
            body = b'{"messages":[' + b",".join(messages) + b"]}"
            of_thread.session.post(url, body, headers={"Content-Type": "application/json"}).raise_for_status()
        finally:
            slots.release()

    def submit(messages: list[bytes]) -> None:
        slots.acquire()
        posts.append(pool.submit(post, messages))

    consumer = Consumer({"bootstrap.servers": brokers, "group.id": group, "auto.offset.reset": "earliest"})
    consumer.subscribe([topic])
    read = size = 0
    batch: list[bytes] = []
    with ThreadPoolExecutor(THREADS) as pool:
        while read < int(records):
            for message in consumer.consume(500, 0.1):
                if message.error():
                    continue
                read += 1
                record = orjson.loads(message.value())
                if not validator.is_valid(record["body"]["xdmEntity"] if payload == "message" else record):
                    continue
                data = orjson.dumps(record) if payload == "message" else before + orjson.dumps(record) + after
                if batch and (len(batch) == MAX_MESSAGES or size + len(data) + 1 > MAX_BYTES):
                    submit(batch)
                    batch, size = [], 0
                batch.append(data)
                size += len(data) + 1
        if batch:
            submit(batch)
    for one in posts:
        one.result()
    consumer.close()


if __name__ == "__main__":
    main(*sys.argv[1:])
