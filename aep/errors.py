"""Every error of this package.

AepError
├── ConfigurationError        the same call will fail again: a person has to change something
│   ├── SecretError           a secret reference that cannot be resolved
│   └── AuthenticationError   IMS or the inlet refuses the credentials
├── NetworkError              no complete reply came: worth another try
│   ├── ConnectError          no connection was made, so nothing can have arrived
│   ├── ReplyError            the connection broke or timed out: the request may have arrived
│   └── TokenError            IMS gives no token now, so nothing was sent to AEP
├── RetryBudgetError      transient failures went on for longer than the budget
└── StoppedError           the process was asked to end while a request waited to be sent again
"""

from __future__ import annotations


class AepError(Exception):
    """Base of this package's errors. The message says what, where and what to do; it never holds a secret."""


class ConfigurationError(AepError):
    """Trying again will not help until a person changes an option, a credential or AEP's side."""


class SecretError(ConfigurationError):
    """A secret reference cannot be resolved: unknown scheme, missing variable, unreadable file."""


class AuthenticationError(ConfigurationError):
    """IMS refuses the client, or the inlet refuses a fresh token."""


class NetworkError(AepError):
    """A request got no complete reply. ``cause`` names the kind in counts of retries."""

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


class RetryBudgetError(AepError):
    """Transient failures went on for longer than ``aep_retry_budget_seconds``."""


class StoppedError(AepError):
    """The process is ending and the request could not be delivered in the time that was left."""
