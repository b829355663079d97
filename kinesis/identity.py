"""Asks AWS whose credentials a client has."""

from __future__ import annotations

import logging

from kinesis.answers import Again, Stop, read_error
from kinesis.errors import AccessError, UnreachableError
from kinesis.session import GIVE_CREDENTIALS, Access, make_client

_LOG = logging.getLogger(__name__)


def caller_identity(access: Access) -> str:
    """Return the ARN of whom AWS takes the credentials for (STS `GetCallerIdentity`, which needs no right).

    Raises:
        AccessError: AWS refuses them, or there are none.
        UnreachableError: STS cannot be reached, or assumes no role now.
    """
    client = make_client(access, "sts")
    from botocore import exceptions

    try:
        return str(client.get_caller_identity()["Arn"])
    except exceptions.ClientError as error:
        if error.operation_name.startswith("AssumeRole"):
            decision = read_error(error, "")
            if isinstance(decision, Again):
                raise UnreachableError(decision.why) from None
            assert isinstance(decision, Stop)
            raise decision.error from None
        raise AccessError(f"AWS refuses the credentials ({error.response['Error'].get('Code')}): renew them") from None
    except (exceptions.NoCredentialsError, exceptions.PartialCredentialsError):
        raise AccessError(f"no AWS credentials found: {GIVE_CREDENTIALS}") from None
    except exceptions.BotoCoreError as error:
        _LOG.debug("GetCallerIdentity: %s", error)
        raise UnreachableError(
            f"STS at {client.meta.endpoint_url} cannot be reached; check the network and kinesis_proxy"
        ) from None
