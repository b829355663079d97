"""Log in to Kafka in ways that librdkafka lacks, and explain failures of those that it has."""

from __future__ import annotations

import importlib.util
import os
import re
from collections.abc import Mapping
from functools import partial

from aep.errors import UserError

MSK_IAM = "AWS_MSK_IAM"
"""`sasl.mechanism` for Amazon MSK with IAM, by the name that it has in Java clients.

librdkafka does it as OAUTHBEARER, with tokens signed by Amazon's own library. Its credentials are those that the AWS
SDK finds where the client is made, a worker's own: environment, web identity, profile, container or instance role.
"""

_NAMES = ("sasl.mechanism", "sasl.mechanisms")
_SIGNER = "aws_msk_iam_sasl_signer"
_MSK_BROKER = re.compile(r"\.kafka(?:-serverless)?\.([a-z0-9-]+)\.amazonaws\.com")


class KafkaLoginError(UserError):
    """There is no way to log in as `kafka_config` asks: what is missing, and what to do."""


def with_login(properties: Mapping[str, object]) -> dict[str, object]:
    """Return properties that librdkafka can log in with.

    For `AWS_MSK_IAM` a token is signed at once, to see that it can be.

    Args:
        properties: librdkafka's, or `AWS_MSK_IAM` among them.

    Raises:
        KafkaLoginError: Something is missing that librdkafka would silently wait for.
    """
    if _value(properties, *_NAMES) == MSK_IAM:
        region = msk_region(str(properties.get("bootstrap.servers", "")))
        sign = partial(msk_token, region)
        _check_signing(region)
        others = {name: value for name, value in properties.items() if name not in _NAMES}
        return {"security.protocol": "SASL_SSL", **others, "sasl.mechanism": "OAUTHBEARER", "oauth_cb": sign}
    check_login(properties)
    return dict(properties)


def check_login(properties: Mapping[str, object]) -> None:
    """Refuse what librdkafka would accept and then silently wait for.

    Raises:
        KafkaLoginError: OAUTHBEARER without a way to get tokens.
    """
    if (
        _value(properties, "security.protocol").startswith("SASL")
        and _value(properties, *_NAMES) == "OAUTHBEARER"
        and _value(properties, "sasl.oauthbearer.method") in ("", "DEFAULT")
        and _value(properties, "enable.sasl.oauthbearer.unsecure.jwt") not in ("TRUE", "T", "1")
    ):
        raise KafkaLoginError(
            "sasl.mechanism OAUTHBEARER has no way to get tokens: set sasl.oauthbearer.method: oidc in kafka_config, "
            f"with sasl.oauthbearer.token.endpoint.url; for Amazon MSK with IAM set sasl.mechanism: {MSK_IAM}"
        )


def msk_region(bootstrap_servers: str) -> str | None:
    """Return the AWS region that brokers of Amazon MSK have in their names; None where they have other names."""
    found = _MSK_BROKER.search(bootstrap_servers)
    return found[1] if found else None


def msk_token(region: str | None, _: str = "") -> tuple[str, float]:
    """Return a token, valid for 15 minutes, and when it expires in seconds since 1970: librdkafka's callback.

    Args:
        region: Region of the cluster; None for that of AWS_REGION, else the AWS SDK's own.
    """
    import botocore.session  # botocore comes with the signer, which is an extra
    from aws_msk_iam_sasl_signer import MSKAuthTokenProvider

    session = botocore.session.Session()
    region = region or os.environ.get("AWS_REGION") or session.get_config_variable("region")
    if not region:
        raise ValueError("the brokers' names do not have the region: set AWS_REGION")
    if session.get_credentials() is None:
        raise ValueError("no AWS credentials were found")  # the signer would fail with an AttributeError
    token, expires_ms = MSKAuthTokenProvider.generate_auth_token(region)
    return token, expires_ms / 1000


def login_advice(said: str) -> str:
    """Return advice about a login mechanism that librdkafka lacks, for the end of a message, or
    "".
    """
    return _GSSAPI if "SASL mechanism GSSAPI" in said else ""


_GSSAPI = (
    "; GSSAPI (Kerberos) is librdkafka's default where sasl.mechanism is not set, and confluent-kafka's packages are "
    "built without it: set sasl.mechanism, or build confluent-kafka from source with a librdkafka that has libsasl2"
)


def _check_signing(region: str | None) -> None:
    if importlib.util.find_spec(_SIGNER) is None:
        raise KafkaLoginError(
            f"sasl.mechanism {MSK_IAM} needs the package aws-msk-iam-sasl-signer-python: install beam-aep[msk], here "
            "and on the workers"
        )
    from botocore.exceptions import BotoCoreError, ClientError

    try:
        msk_token(region)
    except (BotoCoreError, ClientError, ValueError) as error:
        raise KafkaLoginError(
            f"sasl.mechanism {MSK_IAM}: no token can be signed: {error}; the AWS SDK looks for credentials in "
            "AWS_ACCESS_KEY_ID, AWS_PROFILE, a web identity, and the role of the container or machine"
        ) from None


def _value(properties: Mapping[str, object], *names: str) -> str:
    """Return the value that the first of these names has; librdkafka takes it in any letter case."""
    return next((str(properties[name]).upper() for name in names if name in properties), "")
