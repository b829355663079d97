"""Sessions and clients of boto3, made for many threads and with the retries of this project's own.

boto3 comes with the extra ``kinesis`` and takes a quarter of a second to load: it is imported here alone, and inside
functions.
"""

from __future__ import annotations

import logging
import os
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta, timezone
from functools import partial
from typing import Any, NoReturn
from urllib.parse import urlsplit

from kinesis.errors import AccessError, UnreachableError

_LOG = logging.getLogger(__name__)

_ROLE_SESSION = "beam-aep"

# The last two warn with a traceback: of credentials that cannot be renewed, of which `_AssumedRole` says so in a line,
# and of headers that are cut off.
_QUIET = {
    "boto3": logging.WARNING,
    "botocore": logging.WARNING,
    "botocore.credentials": logging.ERROR,
    "urllib3.connection": logging.ERROR,
}

_RENEWED_BEFORE = timedelta(minutes=10)
"""With less time than this left, botocore does not use a role's credentials any more, and raises the error."""

_WARN_EVERY_SECONDS = 60.0
GIVE_CREDENTIALS = (
    "give kinesis_access_key_id and kinesis_secret_access_key, or set up AWS's own (environment, profile, role of the "
    "machine)"
)


@dataclass(frozen=True)
class Access:
    """How to get to Kinesis, with the secrets themselves: made where it is used, never pickled and never logged.

    Attributes:
      region: None for the one of AWS's configuration (``AWS_DEFAULT_REGION``, the profile).
      endpoint: address of Kinesis; None for AWS's own, or what ``AWS_ENDPOINT_URL_KINESIS`` says.
      access_key_id, secret_access_key: None for AWS's own chain: environment, profile, web identity, container,
        instance.
      role_arn: a role to assume with these credentials; None for none. Its credentials are renewed as they expire.
      external_id: what the role's owner asks for in its trust policy.
      proxy: address of an HTTP proxy; None for none, whatever the environment says.
      connect_timeout, read_timeout: seconds to wait for a connection, and for a whole reply.
      connections: kept open at most, as many as requests are under way at a time.
      time_left: returns how many seconds are left until the process has to end; no reply is waited for longer.
    """

    region: str | None
    endpoint: str | None
    access_key_id: str | None
    secret_access_key: str | None = field(repr=False)
    role_arn: str | None
    external_id: str | None
    proxy: str | None
    connect_timeout: float
    read_timeout: float
    connections: int
    time_left: Callable[[], float]

    def __reduce__(self) -> NoReturn:
        raise TypeError("an Access holds secrets and is not pickled: send what it is made of")


def make_client(access: Access, service: str = "kinesis") -> Any:
    """Return a new client of boto3, which many threads may share.

    It tries each call once and checks no parameters: callers do both, and count. botocore's logger is kept above INFO,
    where it says on every start that it found credentials; below that it prints session tokens and partition keys.

    Args:
      access: where to, and as whom.
      service: of AWS, by boto3's name.

    Raises:
      AccessError: the extra is not installed, there is no region, or a profile or an address is wrong.
    """
    try:
        import boto3
        from botocore.config import Config
        from botocore.exceptions import BotoCoreError, NoRegionError

        from kinesis.put_body import read_bodies, write_bodies
    except ImportError:
        raise AccessError(
            "Kinesis needs boto3 and pybase64: pip install 'beam-aep[kinesis]', on the workers too"
        ) from None
    from kinesis.replies import bound_replies

    for name, level in _QUIET.items():
        logger = logging.getLogger(name)
        if logger.getEffectiveLevel() < level:
            logger.setLevel(level)
    network = Config(
        connect_timeout=access.connect_timeout,
        read_timeout=access.read_timeout,
        proxies={} if access.proxy is None else {"http": access.proxy, "https": access.proxy},
    )
    once = Config(
        retries={"total_max_attempts": 1},
        parameter_validation=False,
        max_pool_connections=access.connections,
        tcp_keepalive=True,
    )
    try:
        core = _session(access, network)
        core.get_component("response_parser_factory").set_parser_defaults(timestamp_parser=_time)
        session = boto3.session.Session(botocore_session=core)
        endpoint = access.endpoint if service == "kinesis" else None
        client = session.client(service, config=network.merge(once), endpoint_url=endpoint)
    except NoRegionError:
        raise AccessError("no AWS region found: set kinesis_region or AWS_DEFAULT_REGION") from None
    except (BotoCoreError, ValueError) as error:
        raise AccessError(f"cannot create an AWS client: {error}") from None
    _refuse_login(client, service)
    bound_replies(client, access.time_left)
    write_bodies(client)
    read_bodies(client)
    client.meta.events.register("after-call", partial(_note_region, client.meta.region_name))
    return client


def _refuse_login(client: Any, service: str) -> None:
    """Refuse an address with a password, which messages and the list of options would show.

    Raises:
        AccessError: The client has one, from outside of our options.
    """
    url = urlsplit(client.meta.endpoint_url)
    if url.username is not None or url.password is not None:
        raise AccessError(
            f"the address of {service} must not contain a user name or password: see AWS_ENDPOINT_URL_"
            f"{service.upper()}, AWS_ENDPOINT_URL and AWS's configuration file"
        )


def endpoint_origin(access: Access, client: Any, environ: Mapping[str, str] | None = None) -> str:
    """Return in words where the address of a client of Kinesis comes from.

    botocore takes addresses from the environment and from its configuration file without a word (Service-specific
    endpoints, AWS SDKs and Tools Reference Guide).
    """
    if access.endpoint is not None:
        return "kinesis_endpoint"
    environ = os.environ if environ is None else environ
    for name in ("AWS_ENDPOINT_URL_KINESIS", "AWS_ENDPOINT_URL"):
        if environ.get(name) == client.meta.endpoint_url:
            return f"{name} in the environment"
    host = str(client.meta.endpoint_url)
    if host.startswith("https://kinesis") and ".amazonaws.com" in host:
        return f"AWS, for the region {client.meta.region_name}"
    return "AWS's configuration file or partition"


def _session(access: Access, network: Any) -> Any:
    """Return a session of botocore with the credentials asked for; a role's are fetched with the first call."""
    import botocore.session

    session = botocore.session.Session()
    if access.region is not None:
        session.set_config_variable("region", access.region)
    if access.access_key_id is not None:
        session.set_credentials(access.access_key_id, access.secret_access_key)
    if access.role_arn is None:
        return session
    assuming = botocore.session.Session()
    assuming.set_config_variable("region", session.get_config_variable("region"))
    assuming.register_component("credential_provider", _AssumedRole(access, session, network))
    return assuming


def _note_region(region: str, parsed: dict[str, Any], **_: Any) -> None:
    """Add to an error of AWS's which region was asked, for the message: AWS's own does not say it."""
    if "Error" in parsed:
        parsed.setdefault("ResponseMetadata", {})["Region"] = region


def _time(value: Any) -> datetime:
    """Read a time of an answer, in UTC.

    botocore would give it in the local zone as dateutil knows it, which costs more than all the rest of a record.
    """
    from botocore.utils import parse_timestamp

    if isinstance(value, int | float):
        return datetime.fromtimestamp(value, timezone.utc)
    return parse_timestamp(value)


class _AssumedRole:
    """Gives a session the credentials of a role, which botocore renews before they expire."""

    def __init__(self, access: Access, source: Any, network: Any):
        self._access = access
        self._source = source
        self._network = network
        self._good_until = datetime.min.replace(tzinfo=timezone.utc)
        self._warned_at = float("-inf")

    def load_credentials(self) -> Any:
        """Return the credentials, as botocore's chain of providers does.

        Raises:
          AccessError: there are none to assume the role with.
        """
        from botocore.config import Config
        from botocore.credentials import AssumeRoleCredentialFetcher, DeferredRefreshableCredentials

        source = self._source.get_credentials()
        if source is None:
            raise AccessError(f"no credentials found to assume {self._access.role_arn} with; {GIVE_CREDENTIALS}")
        options = {"RoleSessionName": _ROLE_SESSION}
        if self._access.external_id is not None:
            options["ExternalId"] = self._access.external_id
        # Callers try again for as long as is right for them.
        config = self._network.merge(Config(retries={"total_max_attempts": 2}))
        client = partial(self._client, config=config)
        fetcher = AssumeRoleCredentialFetcher(client, source, self._access.role_arn, extra_args=options)
        return DeferredRefreshableCredentials(partial(self._fetch, fetcher), "assume-role")

    def _client(self, service: str, **options: Any) -> Any:
        from kinesis.replies import bound_replies

        client = self._source.create_client(service, **options)
        _refuse_login(client, service)
        bound_replies(client, self._access.time_left)
        return client

    def _fetch(self, fetcher: Any) -> Any:
        """Return the role's credentials, as botocore wants them.

        It renews them early, and can do without for some minutes: then a failure is only logged, here.

        Raises:
          UnreachableError: STS gives no answer.
          ClientError, BotoCoreError: as boto3 does.
        """
        from botocore import exceptions
        from botocore.utils import parse_timestamp

        try:
            found = fetcher.fetch_credentials()
        except (exceptions.ConnectionError, exceptions.HTTPClientError):
            where = self._source.create_client("sts", config=self._network).meta.endpoint_url
            unreachable = UnreachableError(
                f"STS at {where} cannot be reached to assume {self._access.role_arn}; "
                "check the network, kinesis_proxy, kinesis_role_arn"
            )
            self._warn(unreachable)
            raise unreachable from None
        except (exceptions.BotoCoreError, exceptions.ClientError) as error:
            self._warn(error)
            raise
        self._good_until = parse_timestamp(found["expiry_time"]) - _RENEWED_BEFORE
        return found

    def _warn(self, error: Exception) -> None:
        now = time.monotonic()
        if datetime.now(timezone.utc) < self._good_until and now - self._warned_at >= _WARN_EVERY_SECONDS:
            self._warned_at = now
            _LOG.warning("the credentials of the role cannot be renewed: %s; trying again", error)
