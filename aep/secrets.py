"""Secrets by reference: options name where a secret is, never the secret itself.

``env:NAME`` reads an environment variable, ``file:PATH`` a file, and ``gcp-secret:projects/P/secrets/S/versions/V``
Google Secret Manager with the application default credentials. An end of line after the secret is cut off.
References are resolved where they are used, on the worker, each time they are needed, so that a rotated secret
is picked up and none is ever pickled.
"""

from __future__ import annotations

import base64
import os
from collections.abc import Callable
from pathlib import Path
from urllib.parse import quote_plus

from aep.errors import NetworkError, SecretError

SCHEMES = ("env:", "file:", "gcp-secret:")
SECRET_MANAGER = "https://secretmanager.googleapis.com/v1/"  # noqa: S105 (an address)


def is_reference(value: str) -> bool:
    """Whether the value has the form of a secret reference."""
    return value.startswith(SCHEMES)


def resolve(reference: str) -> str:
    """The secret that the reference names.

    Raises:
      SecretError: the reference is malformed or what it names cannot be read. The message holds the reference,
        never a secret.
      NetworkError: Secret Manager cannot be reached or is failing: worth another try.
    """
    scheme, _, name = reference.partition(":")
    reader = _READERS.get(scheme)
    if reader is None or not name:
        # What was given here may be the secret itself, so the message must not repeat it.
        raise SecretError("a secret must be given as env:NAME, file:PATH or gcp-secret:projects/P/secrets/S/versions/V")
    secret = reader(name).rstrip("\r\n")
    if not secret:
        raise SecretError(f"the secret {reference} is empty")
    return secret


def hide(body: bytes, secret: str) -> bytes:
    """The body of an error reply, of which people will read, without the secret, should it echo the request."""
    for form in (secret, quote_plus(secret, errors="surrogateescape")):
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
        reason = getattr(error, "strerror", None) or "not UTF-8 text, or no path"
        raise SecretError(f"the secret file {path} cannot be read: {reason}") from None


def _from_secret_manager(name: str) -> str:
    # google-auth is slow to import and few runs need it.
    import google.auth
    import google.auth.exceptions
    import google.auth.transport.requests
    import requests

    try:
        credentials, _ = google.auth.default(scopes=["https://www.googleapis.com/auth/cloud-platform"])
        with google.auth.transport.requests.AuthorizedSession(credentials) as session:
            reply = session.get(f"{SECRET_MANAGER}{name}:access", timeout=30)
    except requests.RequestException as error:
        raise NetworkError(f"the secret gcp-secret:{name} cannot be read: {type(error).__name__}") from None
    except google.auth.exceptions.GoogleAuthError as error:
        passing = error.retryable or isinstance(error, google.auth.exceptions.TransportError)
        kind = NetworkError if passing else SecretError
        raise kind(f"the secret gcp-secret:{name} cannot be read: {type(error).__name__}") from None
    except OSError as error:
        reason = f"the credentials {error.filename}: {error.strerror}"
        raise SecretError(f"the secret gcp-secret:{name} cannot be read: {reason}") from None
    if reply.status_code != 200:
        kind = NetworkError if reply.status_code == 429 or reply.status_code >= 500 else SecretError
        raise kind(f"the secret gcp-secret:{name} cannot be read: Secret Manager answers {reply.status_code}")
    try:
        return base64.b64decode(reply.json()["payload"]["data"]).decode()
    except (KeyError, TypeError, ValueError):
        raise SecretError(f"the secret gcp-secret:{name} cannot be read: unexpected reply") from None


_READERS: dict[str, Callable[[str], str]] = {
    "env": _from_environment,
    "file": _from_file,
    "gcp-secret": _from_secret_manager,
}
