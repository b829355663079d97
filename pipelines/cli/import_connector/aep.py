"""What a connector's configuration says of AEP: inlet, headers, credentials, proxy, batches, tries, dead letters.

(experience-platform-streaming-connect, Developer Guide, Configuration Options; what the guide leaves out is from the
connector's source: AbstractAEPPublisher, AbstractSinkTask, HttpConnection.)
"""

from __future__ import annotations

import json
import re
from urllib.parse import parse_qs

from aep.http import secrets
from pipelines.cli.import_connector.draft import Draft
from pipelines.options.checks import reads_back
from pipelines.options.table import OPTIONS

_PROXY, _AUTH, _DEAD_LETTERS = "aep.connection.proxy.", "aep.connection.auth.", "errors.deadletterqueue."
_HEADERS = "aep.connection.endpoint.headers"
_TOKEN = re.compile(r"\s*(bearer|basic)\s|eyJ", re.IGNORECASE)  # how a header's value begins that is a secret
_PRODUCTION_IMS = "https://ims-na1.adobelogin.com"
AEP_PROPERTIES = (
    "aep.endpoint",
    "aep.flush.interval.seconds",
    "aep.flush.bytes.kb",
    "aep.connection.maxRetries",
    "aep.connection.retryBackoff",
    "aep.connection.timeout",
    "aep.connection.readTimeout",
    _HEADERS,
    *(f"{_PROXY}{name}" for name in ("host", "port", "user", "password")),
    *(f"{_AUTH}{name}" for name in ("enabled", "token.type", "endpoint", "client.id", "client.secret", "client.code")),
    *(f"{_AUTH}{name}" for name in ("imsOrg", "accountKey", "filePath")),
)
"""Every property that the connector reads besides Kafka Connect's own."""


def import_endpoint(draft: Draft) -> None:
    """Take the inlet's address."""
    key = "aep.endpoint"
    if draft.is_provided(key):
        draft.missing["aep_inlet_url"] = "https://dcs.adobedc.net/collection/INLET_ID"
        draft.take(key)
        return
    url = draft.take(key)
    if url is None:
        draft.problems.append(f"{key}: missing: the connector has no address to post to")
        return
    query = parse_qs(url.partition("?")[2])
    if flow := query.pop("x-adobe-flow-id", None):
        draft.set("aep_flow_id", flow[0], key)
    if query.pop("syncValidation", None):
        draft.note("dropped", key, "syncValidation: AEP knows it at the single-message endpoint only")
    draft.set("aep_inlet_url", url.partition("?")[0].rstrip("/") if not query else url, key)
    if "/collection/batch/" in url:
        draft.note("better", key, "may have /collection/batch/ in it; the connector made it /collection/batch/batch/")


def import_headers(draft: Draft) -> None:
    """Take the headers that each request carries, as JSON: the dataflow, the dataset, and any others."""
    text = draft.take(_HEADERS)
    if text is None:
        return
    try:
        headers = json.loads(text)
    except json.JSONDecodeError:
        headers = None
    if not isinstance(headers, dict) or not all(isinstance(value, str) for value in headers.values()):
        draft.note("to do", _HEADERS, "is not a JSON object of texts; the connector logged that and sent no headers")
        return
    kept = {}
    for name, value in headers.items():
        if name.lower() == "x-adobe-flow-id":
            draft.set("aep_flow_id", value, _HEADERS)
        elif secrets.may_be_in_header(name) or _TOKEN.match(value):
            text = (
                f"{name} may be a secret and is not copied: see aep_auth; put headers without secrets into aep_headers"
            )
            draft.note("to do", _HEADERS, text)
        elif name.lower() in ("content-type", "content-length", "content-encoding", "host"):
            draft.note("dropped", _HEADERS, f"{name}: the client sets it itself")
        else:
            kept[name] = value
            if name.lower() == "x-adobe-dataset-id":
                draft.set("aep_dataset_id", value, _HEADERS)
    if kept:
        draft.set("aep_headers", kept, _HEADERS)


def import_payload(draft: Draft, schema_file: str | None, schema_id: str | None) -> None:
    """Decide what values are: messages to check, where their schema is known, else whatever the connector was fed."""
    if schema_file or schema_id:
        draft.set("xdm_payload", "message", "--schema-file")
        draft.options.pop("aep_dataset_id", None)  # else messages that leave it to the header would be refused
        for option, value in (("xdm_schema_file", schema_file), ("xdm_schema_id", schema_id)):
            if value:
                draft.set(option, value, f"--{option.removeprefix('xdm_').replace('_', '-')}")
        text = "messages are checked against their schema before they are posted; invalid ones are dead-lettered"
        draft.note("better", "values", text)
        return
    draft.set("xdm_payload", "raw", "values")
    if "aep_flow_id" not in draft.options:
        text = "are posted unchecked, as the connector does. With --schema-file or --schema-id they are taken as XDM "
        draft.note("better", "values", text + "messages (header and body) and checked before they are posted.")


def import_auth(draft: Draft) -> None:
    """Take how requests are authenticated. Of the three kinds of token Adobe still gives one: server-to-server."""
    enabled = draft.take(f"{_AUTH}enabled")
    kind = draft.take(f"{_AUTH}token.type") or "jwt_token"  # the default in the code; the guide says access_token
    if enabled != "true":
        for name in draft.take_all(_AUTH):
            draft.note("dropped", _AUTH + name, f"{_AUTH}enabled is not true, so no token is sent")
        draft.set("aep_auth", "none", f"{_AUTH}enabled")
        return
    draft.set("aep_auth", "oauth", f"{_AUTH}token.type")
    if kind not in ("oauth2_access_token", "access_token", "jwt_token"):
        draft.problems.append(f"{_AUTH}token.type: must be oauth2_access_token, access_token or jwt_token")
    if kind != "oauth2_access_token":
        draft.note(
            "to do",
            f"{_AUTH}token.type",
            f"{kind} has no equivalent: Adobe has ended it. Add an OAuth server-to-server credential to the project in "
            "Adobe Developer Console, and give its client id (aep_client_id) and secret (aep_client_secret).",
        )
    ims_url = draft.take(f"{_AUTH}endpoint")
    if ims_url is None:
        text = f"is not given: the workers' AUTH_ENDPOINT counted; here it is aep_ims_url, {_PRODUCTION_IMS}"
        draft.note("changed", f"{_AUTH}endpoint", text)
    draft.set("aep_ims_url", (ims_url or _PRODUCTION_IMS).rstrip("/"), f"{_AUTH}endpoint")
    client = draft.take(f"{_AUTH}client.id")
    if client:
        draft.set("aep_client_id", client, f"{_AUTH}client.id")
    else:
        draft.missing["aep_client_id"] = "CLIENT_ID"
    secret = draft.take_secret(f"{_AUTH}client.secret", "AEP_CLIENT_SECRET")
    if secret is None:
        draft.variables["AEP_CLIENT_SECRET"] = "the client secret of the server-to-server credential"  # noqa: S105
    draft.set("aep_client_secret", secret or "env:AEP_CLIENT_SECRET", f"{_AUTH}client.secret")
    only = {"client.code": "access_token", "imsOrg": "jwt_token", "accountKey": "jwt_token", "filePath": "jwt_token"}
    draft.drop({_AUTH + name: f"only {of} needed it" for name, of in only.items()})


def import_proxy(draft: Draft) -> None:
    """Take the proxy to AEP and IMS."""
    provided = draft.is_provided(f"{_PROXY}host")
    host, port = draft.take(f"{_PROXY}host"), draft.take_number(f"{_PROXY}port")
    user, password = draft.take(f"{_PROXY}user"), draft.take_secret(f"{_PROXY}password", "AEP_PROXY_PASSWORD")
    if provided:
        draft.missing["aep_proxy"] = "http://HOST:443"
    elif host is None:
        if port or user or password:
            draft.note("dropped", f"{_PROXY}*", "there is no proxy.host")
            draft.variables.pop("AEP_PROXY_PASSWORD", None)
        return
    else:
        draft.set("aep_proxy", f"{'' if '://' in host else 'http://'}{host}:{port or 443}", f"{_PROXY}host")
    if user:
        draft.set("aep_proxy_user", user, f"{_PROXY}user")
        draft.set("aep_proxy_password", password or "env:AEP_PROXY_PASSWORD", f"{_PROXY}password")
        draft.variables.setdefault("AEP_PROXY_PASSWORD", "the proxy's password")
    elif password:
        draft.note("dropped", f"{_PROXY}password", "there is no proxy.user")
        draft.variables.pop("AEP_PROXY_PASSWORD", None)


def import_sending(draft: Draft) -> None:
    """Take what it says of batches, tries and waits."""
    if (tasks := draft.take_number("tasks.max")) is not None:
        text = "each task posted one request at a time; here a process has aep_max_in_flight of them under way, "
        if tasks > OPTIONS["aep_max_in_flight"].default:
            draft.set("aep_max_in_flight", tasks, "tasks.max")
        draft.note("better", "tasks.max", text + f"{draft.options.get('aep_max_in_flight', 8)}; and runs share a group")
    draft.note(
        "changed",
        "order",
        "a task kept the order of each partition; here requests overlap. `aep_order: key` keeps the order of each key.",
    )
    if (interval := draft.take_number("aep.flush.interval.seconds")) is not None and interval > 0:
        draft.set("batch_max_seconds", float(interval), "aep.flush.interval.seconds")
    kilobytes = draft.take_number("aep.flush.bytes.kb")
    size = (kilobytes if kilobytes and kilobytes > 0 else 4) * 1024
    keep = f"; to keep requests small: batch_max_bytes: {size}" if size <= 1_000_000 else ""
    draft.note(
        "better",
        "aep.flush.bytes.kb",
        f"is not taken over: a request went out once over {size:,} characters, and at the end of each poll; here "
        f"it fills up to batch_max_bytes, under AEP's 1 MB{keep}",
    )
    tries, pause = draft.take_number("aep.connection.maxRetries"), draft.take_number("aep.connection.retryBackoff")
    draft.note(
        "changed",
        "aep.connection.maxRetries, aep.connection.retryBackoff",
        f"after {3 if tries is None else tries} tries, {300 if pause is None else pause} ms apart, the connector "
        "dead-lettered, dropped or failed; here a request is sent again, ever more slowly, until AEP takes it. "
        "aep_retry_budget_seconds makes the run fail after so long.",
    )
    for key, option, words in (
        ("aep.connection.timeout", "aep_connect_timeout_seconds", ""),
        ("aep.connection.readTimeout", "aep_timeout_seconds", "bounds the whole answer, not each wait for a byte"),
    ):
        milliseconds = draft.take_number(key)
        if milliseconds is not None and milliseconds > 0:
            draft.set(option, milliseconds / 1000, key)
            if words:
                draft.note("changed", key, words)
        elif milliseconds is not None:
            draft.note("changed", key, f"0 waited forever; here {option} is {OPTIONS[option].default:g}")
    draft.note(
        "changed",
        "401, 403",
        "failed the task, once the whole batch was in the dead-letter topic; here a new token is tried once, then "
        "the run stops with exit code 2, and nothing is dead-lettered or committed",
    )


def import_dead_letters(draft: Draft, topics: list[str], path: str) -> None:
    """Take where records go that can't be taken; to the folder `path` where the connector had no topic for them."""
    tolerance = draft.take("errors.tolerance")
    provided = draft.is_provided(f"{_DEAD_LETTERS}topic.name")
    topic = draft.take(f"{_DEAD_LETTERS}topic.name")
    if provided:
        draft.missing["dead_letter_topic"] = "TOPIC"
    elif topic:
        draft.set("dead_letter_topic", topic, f"{_DEAD_LETTERS}topic.name")
        text = "gets single records, each with its reason, not whole batches; and what is not JSON, which was dropped"
        draft.note("better", f"{_DEAD_LETTERS}topic.name", text)
        if again := reads_back([one for one in topics if not _broken(one)], topic):
            draft.problems.append(f"{_DEAD_LETTERS}topic.name: is read again by {again}, an endless loop")
    else:
        draft.set("dead_letter_path", path, f"{_DEAD_LETTERS}topic.name")
        draft.note(
            "better",
            f"{_DEAD_LETTERS}topic.name",
            "is not given: the connector logged and dropped what AEP answered with 400, 413, 429, 502, 503 or 504, and "
            "what is not JSON; here it is sent again, or dead-lettered to dead_letter_path",
        )
    if tolerance:
        text = "here a record that can't be taken is always dead-lettered, and never stops the run or is dropped"
        draft.note("changed", "errors.tolerance", text)
    draft.drop(
        {
            f"{_DEAD_LETTERS}topic.replication.factor": "the topic is not created: it must be there",
            f"{_DEAD_LETTERS}context.headers.enable": "dead letters always have Connect's headers, and more",
            "errors.log.enable": "the report of a run counts dead letters by code",
            "errors.log.include.messages": "values of records are never logged",
            "errors.retry.timeout": "converting and mapping fail for good or not at all",
            "errors.retry.delay.max.ms": "converting and mapping fail for good or not at all",
        }
    )


def _broken(pattern: str) -> bool:
    try:
        re.compile(pattern)
    except re.error:
        return True
    return False
