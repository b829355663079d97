"""How a pipeline gets to Kinesis: plain values with references to secrets, and one client in a process."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any

from aep.errors import ConfigurationError, UserError
from aep.http import secrets
from kinesis.errors import AccessError, KinesisError
from kinesis.identity import caller_identity
from kinesis.session import Access, endpoint_origin, make_client
from transforms.kinesis.errors import as_user_error, user_error
from transforms.worker import process


@dataclass(frozen=True)
class KinesisAccess:
    """What ``kinesis.session.Access`` is made of, fit to be compared, pickled and sent to workers.

    Attributes:
      region, endpoint, role_arn, external_id, proxy: as there.
      access_key_id, secret_access_key: references to secrets; None for AWS's own chain.
      connect_timeout_seconds, timeout_seconds: to wait for a connection, and for a whole reply.
      connections: kept open at most, as many as requests are under way at a time.
    """

    region: str | None
    endpoint: str | None
    access_key_id: str | None
    secret_access_key: str | None
    role_arn: str | None
    external_id: str | None
    proxy: str | None
    connect_timeout_seconds: float
    timeout_seconds: float
    connections: int

    def resolve(self) -> Access:
        """Return the access with its secrets, as they are now.

        Raises:
          SecretError, NetworkError: a secret cannot be read.
          ConfigurationError: one of the two parts of a key is missing.
        """
        if (self.access_key_id is None) != (self.secret_access_key is None):
            raise ConfigurationError(
                "kinesis_access_key_id and kinesis_secret_access_key go together: give both or none"
            )
        return Access(
            region=self.region,
            endpoint=self.endpoint,
            access_key_id=_secret(self.access_key_id),
            secret_access_key=_secret(self.secret_access_key),
            role_arn=self.role_arn,
            external_id=self.external_id,
            proxy=self.proxy,
            connect_timeout=self.connect_timeout_seconds,
            read_timeout=self.timeout_seconds,
            connections=self.connections,
            time_left=process.time_left,
        )

    def client(self) -> Any:
        """Return the process's client of boto3 for this access; the first caller makes it.

        Raises:
          UserError: a secret cannot be read, or no client can be made.
        """
        return process.shared(self._key, self._make)

    def forget_client(self) -> None:
        """Let the next caller make a new client, with secrets read anew: AWS has refused the credentials."""
        process.take(self._key)

    def endpoint_in_words(self) -> str:
        """Return the address of Kinesis and where it comes from; needs no secret and calls nobody.

        Raises:
          UserError: no client can be made.
        """
        access = replace(self, access_key_id=None, secret_access_key=None, role_arn=None).resolve()
        with as_user_error():
            client = make_client(access)
        return f"{client.meta.endpoint_url} (from {endpoint_origin(access, client)})"

    def user_error(self, error: KinesisError) -> UserError:
        """Return what the user is to see of an error; where AWS refuses the credentials, forget the client."""
        if isinstance(error, AccessError):
            self.forget_client()
        return user_error(error)

    def identity(self) -> str:
        """Return the ARN of whom AWS takes the credentials for; asks STS.

        Raises:
          UserError: AWS refuses them, there are none, or STS cannot be reached.
        """
        with as_user_error():
            return caller_identity(self.resolve())

    @property
    def _key(self) -> tuple[str, KinesisAccess]:
        return ("kinesis client", self)

    def _make(self) -> Any:
        with as_user_error():
            return make_client(self.resolve())


def _secret(reference: str | None) -> str | None:
    return None if reference is None else secrets.resolve(reference)
