"""Errors whose messages are shown to the user.

UserError                         only the message is shown; any other exception is a bug and shows its traceback
├── AepError                      concerns AEP, IMS or the connection to them
│   ├── ConfigurationError        the same call will fail again until something is changed
│   │   ├── SecretError           a secret reference that cannot be resolved
│   │   └── AuthenticationError   IMS or the inlet refuses the credentials
│   ├── NetworkError              no complete reply came; a retry may help
│   │   ├── ConnectError          no connection was made, so nothing can have arrived
│   │   ├── ReplyError            the connection broke or timed out: the request may have arrived
│   │   └── TokenError            IMS gives no token now, so nothing was sent to AEP
│   ├── PlatformError             a management API answers with an error: Adobe's code and text
│   │   ├── InvalidRequestError   400, 422: the API rejects the request
│   │   ├── ForbiddenError        401, 403 that a new token does not fix
│   │   ├── NotFoundError         404
│   │   ├── ConflictError         the object was changed meanwhile, or its title is taken
│   │   └── UnavailableError      429, 5xx, even after retries
│   ├── RetryBudgetError          transient failures lasted longer than the budget
│   └── StoppedError              the process was asked to end while a request waited to be sent again
└── SchemaError, OptionsError, PreflightError, KafkaSetupError, SinkError, ...: defined in the package that raises them
"""

from __future__ import annotations


class UserError(Exception):
    """Base of all errors shown to users. The message says what, where and what to do, and never contains a secret."""

    @property
    def problems(self) -> list[str]:
        """The individual problems."""
        return [str(self)]


class AepError(UserError):
    """Concerns AEP, IMS, the connection to them, or its configuration."""


class ConfigurationError(AepError):
    """A retry will not help until the user changes an option, a credential or something in AEP."""


class SecretError(ConfigurationError):
    """A secret reference cannot be resolved: unknown scheme, missing variable, unreadable file.

    Attributes:
        reference: The reference, where it is known to be one.
    """

    def __init__(self, message: str, reference: str = ""):
        super().__init__(message)
        self.reference = reference


class AuthenticationError(ConfigurationError):
    """IMS refuses the client, or the inlet refuses a fresh token."""


class NetworkError(AepError):
    """A request got no complete reply. `cause` names the kind of error in the counts of retries."""

    cause = "network"


class ConnectError(NetworkError):
    """No connection was made: refused, unreachable, name not found."""

    cause = "connect"


class ReplyError(NetworkError):
    """The connection broke, in the TLS handshake or later, or a time limit passed: the request may have arrived."""

    cause = "reply"


class TokenError(NetworkError):
    """IMS cannot be reached or is failing, so there is no token to send the request with."""

    cause = "ims"


class PlatformError(AepError):
    """A management API answers with an error, or with something that is not a reply to the call.

    Attributes:
        status: HTTP status.
        code: Adobe's code, such as `XDM-1012-404`; empty when the reply has none, as for all below.
        title: Title of the kind of error.
        detail: What is wrong.
        request_id: Adobe's support asks for it.
        method: Method of the call.
        url: URL of the call without its query, which may contain personal data.
        advice: What to do, if it is the same for all errors of a class.
    """

    advice = ""

    def __init__(self, status: int, code: str, title: str, detail: str, request_id: str, method: str, url: str):
        super().__init__(status, code, title, detail, request_id, method, url)
        self.status = status
        self.code = code
        self.title = title
        self.detail = detail
        self.request_id = request_id
        self.method = method
        self.url = url

    def __str__(self) -> str:
        words = ": ".join(part for part in (self.title, self.detail) if part)
        named = (("code", self.code), ("request id", self.request_id))
        about = ", ".join(f"{name} {value}" for name, value in named if value)
        answer = f"{self.method} {self.url} answers {self.status}{words and f': {words}'}{about and f' ({about})'}"
        return f"{answer}; {self.advice}" if self.advice else answer


class InvalidRequestError(PlatformError):
    """The API rejects the request: 400, 422, or another 4xx without a class of its own."""


class ForbiddenError(PlatformError):
    """The API rejects the caller: the key, organisation, sandbox, permission or even a new token is wrong."""

    advice = "check the client id, the organisation, the sandbox, and the permissions of the credential there"


class NotFoundError(PlatformError):
    """There is no such object, at least in this organisation and sandbox."""


class ConflictError(PlatformError):
    """The object differs from what the caller expects: its etag has changed, or its title is taken."""


class UnavailableError(PlatformError):
    """The API is failing or throttling (5xx, 429) even after retries; it may work later."""


class RetryBudgetError(AepError):
    """Transient failures lasted longer than `aep_retry_budget_seconds`."""


class StoppedError(AepError):
    """The process is stopping and the request could not be delivered in the remaining time."""
