"""The errors whose message is for the person who runs the pipeline.

UserError                         the message is all that is shown; any other exception is a bug and shows its traceback
├── AepError                      about AEP, IMS or the way to them
│   ├── ConfigurationError        the same call will fail again: something has to be changed
│   │   ├── SecretError           a secret reference that cannot be resolved
│   │   └── AuthenticationError   IMS or the inlet refuses the credentials
│   ├── NetworkError              no complete reply came: worth another try
│   │   ├── ConnectError          no connection was made, so nothing can have arrived
│   │   ├── ReplyError            the connection broke or timed out: the request may have arrived
│   │   └── TokenError            IMS gives no token now, so nothing was sent to AEP
│   ├── PlatformError             a management API answers with an error, in Adobe's code and words
│   │   ├── InvalidRequestError   400, 422: it refuses what was asked
│   │   ├── ForbiddenError        401, 403 that a new token does not fix
│   │   ├── NotFoundError         404
│   │   ├── ConflictError         somebody changed the object meanwhile, or its title is taken
│   │   └── UnavailableError      429, 5xx, still after some tries
│   ├── RetryBudgetError          transient failures went on for longer than the budget
│   └── StoppedError              the process was asked to end while a request waited to be sent again
└── SchemaError, OptionsError, PreflightError, KafkaSetupError, SinkError, ...: of the package that raises them
"""

from __future__ import annotations


class UserError(Exception):
    """Base of all errors that a person reads. The message says what, where and what to do; it never holds a secret."""

    @property
    def problems(self) -> list[str]:
        """What is wrong, each problem by itself."""
        return [str(self)]


class AepError(UserError):
    """AEP, IMS or the way to them, and what is configured for it."""


class ConfigurationError(AepError):
    """Trying again will not help until a person changes an option, a credential or AEP's side."""


class SecretError(ConfigurationError):
    """A secret reference cannot be resolved: unknown scheme, missing variable, unreadable file."""


class AuthenticationError(ConfigurationError):
    """IMS refuses the client, or the inlet refuses a fresh token."""


class NetworkError(AepError):
    """A request got no complete reply. `cause` names the kind in counts of retries."""

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
    """A management API answers with an error, or with something that is not an answer to the call.

    Attributes:
        status: HTTP status.
        code: Adobe's code, such as `XDM-1012-404`; empty when the reply has none, as for all below.
        title: Of the kind of error.
        detail: What is wrong.
        request_id: To be named to Adobe's support.
        method: Of the call.
        url: Of the call without its query, which may name a person.
        advice: What to do, where that is the same for all errors of a class.
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
    """The API refuses what was asked: 400, 422, or another 4xx that has no class of its own."""


class ForbiddenError(PlatformError):
    """The API refuses who asks: a key, an organisation, a sandbox or a permission is wrong, or even a new token."""

    advice = "check the client id, the organisation, the sandbox, and the permissions of the credential there"


class NotFoundError(PlatformError):
    """There is no such object, at least in this organisation and sandbox."""


class ConflictError(PlatformError):
    """The object is not as the caller thinks: another etag than the one supplied, or its title is taken."""


class UnavailableError(PlatformError):
    """The API is failing or throttles (5xx, 429), and did so each time it was tried: it may work later."""


class RetryBudgetError(AepError):
    """Transient failures went on for longer than `aep_retry_budget_seconds`."""


class StoppedError(AepError):
    """The process is ending and the request could not be delivered in the time that was left."""
