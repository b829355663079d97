"""Secrets by reference: options name where a secret is, never the secret itself.

`env:NAME` reads an environment variable, `file:PATH` a file, and `gcp-secret:projects/P/secrets/S/versions/V` or,
of a regional secret, `gcp-secret:projects/P/locations/L/secrets/S/versions/V` Google Secret Manager with the
application default credentials. An end of line after the secret and a byte order mark before it are cut off.
References are resolved where they are used, on the worker, each time they are needed, so that a rotated secret
is picked up and none is ever pickled.
"""

from __future__ import annotations

import base64
import json
import os
import re
from collections.abc import Callable
from pathlib import Path
from urllib.parse import quote_plus

from aep.errors import NetworkError, SecretError

SCHEMES = ("env:", "file:", "gcp-secret:")
FORMS = "env:NAME, file:PATH or gcp-secret:projects/P/secrets/S/versions/V"
GOOGLE_NAME = r"projects/[^/?#\s]+/(?:locations/(?P<location>[a-z0-9-]+)/)?secrets/[^/?#\s]+/versions/[^/?#\s]+"
"""A version of a secret in Secret Manager; the location, which becomes a part of a host's name, has no other signs."""

SECRET_MANAGER = "https://secretmanager.googleapis.com/v1/"  # noqa: S105 (an address)
# Regional secrets are at the endpoint of their region alone (Secret Manager, Regional secrets: endpoints).
REGIONAL_SECRET_MANAGER = "https://secretmanager.{location}.rep.googleapis.com/v1/"  # noqa: S105 (an address)

_BYTE_ORDER_MARK = "\ufeff"
_MAX_WORDS = 500


REFERENCE = re.compile(rf"env:[A-Za-z_][A-Za-z0-9_]*|file:\S.*|gcp-secret:{GOOGLE_NAME}")
"""What a reference looks like that can name a secret."""

# Also of X-Api-Key, Ocp-Apim-Subscription-Key and X-Amz-Credential.
_SECRET_HEADER = re.compile("auth|cookie|credential|key|passw|secret|signature|token", re.IGNORECASE)


def is_reference(value: str) -> bool:
    """Return whether a value is resolved where it is used; it may be malformed."""
    return value.startswith(SCHEMES)


def may_be_in_header(name: str) -> bool:
    """Return whether the value of a header may be a secret, by the header's name."""
    return _SECRET_HEADER.search(name) is not None


def is_well_formed(reference: str) -> bool:
    """Return whether a reference can name a secret; whether there is one, only the worker knows."""
    return REFERENCE.fullmatch(reference) is not None


def needs_network(reference: str) -> bool:
    """Return whether the secret can only be had from a service, not from this machine."""
    return reference.startswith("gcp-secret:")


def resolve(reference: str) -> str:
    """Return the secret that the reference names.

    Raises:
        SecretError: The reference is malformed or what it names cannot be read. The message holds the reference,
            never a secret.
        NetworkError: Secret Manager cannot be reached or is failing: worth another try.
    """
    scheme, _, name = reference.partition(":")
    reader = _READERS.get(scheme)
    if reader is None or not name:
        # What was given here may be the secret itself, so the message must not repeat it.
        raise SecretError(f"a secret must be given as {FORMS}")
    try:
        secret = reader(name).removeprefix(_BYTE_ORDER_MARK).rstrip("\r\n")
    except SecretError as error:
        error.reference = reference
        raise
    if not secret:
        raise SecretError(f"the secret {reference} is empty", reference)
    return secret


def hide(body: bytes, secret: str) -> bytes:
    """Return the body of an error reply with the secret redacted, in case it echoes the request.

    Args:
        body: Of the reply.
        secret: Not empty. It is also looked for as forms, URLs and JSON write it.
    """
    in_json = json.dumps(secret)[1:-1]
    plain_json = json.dumps(secret, ensure_ascii=False)[1:-1]
    of_json = [form for each in (in_json, plain_json) for form in (each, each.replace("/", "\\/"))]
    forms = {secret, quote_plus(secret, errors="surrogateescape"), *of_json}
    for form in sorted(forms, key=len, reverse=True):  # the shorter one may be a part of the longer
        body = body.replace(form.encode(errors="surrogateescape"), b"***")
    return body


def _from_environment(name: str) -> str:
    value = os.environ.get(name)
    if value is None:
        raise SecretError(f"the environment variable {name} is not set (secret env:{name})")
    return value


def _from_file(path: str) -> str:
    try:
        return Path(path).read_text(encoding="utf-8")
    except (OSError, ValueError) as error:
        reason = getattr(error, "strerror", None) or "not UTF-8 text, or not a valid path"
        raise SecretError(f"the secret file {path} cannot be read: {reason}") from None


def _from_secret_manager(name: str) -> str:
    # google-auth is slow to import and few runs need it.
    import google.auth
    import google.auth.exceptions
    import google.auth.transport.requests
    import requests

    url = secret_manager_url(name)
    try:
        credentials, _ = google.auth.default(scopes=["https://www.googleapis.com/auth/cloud-platform"])
        with google.auth.transport.requests.AuthorizedSession(credentials) as session:
            reply = session.get(url, timeout=30)
    except requests.RequestException as error:
        raise NetworkError(f"the secret gcp-secret:{name} cannot be read: {type(error).__name__}") from None
    except google.auth.exceptions.TransportError as error:
        raise NetworkError(f"the secret gcp-secret:{name} cannot be read: {type(error).__name__}") from None
    except google.auth.exceptions.GoogleAuthError as error:
        kind = NetworkError if error.retryable else SecretError
        reason = _in_one_line(": ".join([type(error).__name__, *map(str, error.args[:1])]))
        raise kind(f"the secret gcp-secret:{name} cannot be read: {reason}") from None
    except OSError as error:
        reason = f"the credentials {error.filename}: {error.strerror}"
        raise SecretError(f"the secret gcp-secret:{name} cannot be read: {reason}") from None
    if reply.status_code != 200:
        kind = NetworkError if reply.status_code == 429 or reply.status_code >= 500 else SecretError
        reason = _reason(hide(reply.content, str(credentials.token)))
        answer = f"Secret Manager answers {reply.status_code}{reason and f': {reason}'}"
        raise kind(f"the secret gcp-secret:{name} cannot be read: {answer}")
    try:
        return base64.b64decode(reply.json()["payload"]["data"]).decode()
    except (KeyError, TypeError, ValueError):
        raise SecretError(f"the secret gcp-secret:{name} cannot be read: unexpected reply") from None


def secret_manager_url(name: str) -> str:
    """Return where the version of a secret is read (Secret Manager API, `projects.secrets.versions.access`).

    Raises:
        SecretError: It is not the name of one.
    """
    found = re.fullmatch(GOOGLE_NAME, name)
    if found is None:
        raise SecretError(
            f"gcp-secret:{name} is not a secret of Secret Manager: give projects/P/secrets/S/versions/V, or "
            "projects/P/locations/L/secrets/S/versions/V"
        )
    location = found["location"]
    return f"{REGIONAL_SECRET_MANAGER.format(location=location) if location else SECRET_MANAGER}{name}:access"


def _reason(body: bytes) -> str:
    """Return the text of an error reply of Google's APIs (`google.rpc.Status`); "" for none. Nothing
    else is repeated.
    """
    try:
        return _in_one_line(json.loads(body)["error"]["message"])
    except (ValueError, LookupError, TypeError, AttributeError):
        return ""


def _in_one_line(text: str) -> str:
    return " ".join(text.split())[:_MAX_WORDS]


_READERS: dict[str, Callable[[str], str]] = {
    "env": _from_environment,
    "file": _from_file,
    "gcp-secret": _from_secret_manager,
}
