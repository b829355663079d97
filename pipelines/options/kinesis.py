"""The options of Amazon Kinesis."""

from pipelines.options.group import OptionGroup, option
from pipelines.options.types import KinesisEndpoint, KinesisProxy, RoleArn, Seconds, SecretReference
from transforms.kinesis.access import KinesisAccess


class KinesisOptions(OptionGroup):
    """Kinesis: as whom, where to, and by which way. Pipelines that do not use it need none of these."""

    region: str | None = option(
        None, "AWS region. Null: that of AWS's own configuration (AWS_DEFAULT_REGION, profile)."
    )
    endpoint: KinesisEndpoint | None = option(
        None,
        "Address of Kinesis, as http://127.0.0.1:4567. Null: AWS's own, unless AWS_ENDPOINT_URL_KINESIS or "
        "AWS_ENDPOINT_URL says otherwise.",
    )
    access_key_id: SecretReference | None = option(
        None,
        "Reference to an access key id. Null: AWS's own chain (environment, profile, web identity, instance, ...).",
    )
    secret_access_key: SecretReference | None = option(
        None, "Reference to the secret of that access key, for kinesis_access_key_id."
    )
    role_arn: RoleArn | None = option(None, "A role to assume with these credentials, by its ARN. Null: none.")
    external_id: str | None = option(None, "The external id that the role's trust policy asks for, if it does.")
    proxy: KinesisProxy | None = option(
        None, "Proxy to Kinesis and STS, as http://HOST:PORT. Null: none; the environment's is never used."
    )
    connect_timeout_seconds: Seconds = option(10.0, "How long to wait for a connection.", "seconds")
    timeout_seconds: Seconds = option(60.0, "How long to wait for an answer.", "seconds")

    def access(self, connections: int) -> KinesisAccess:
        """Return what clients are made of.

        Args:
          connections: to keep open at most, as many as requests are under way at a time.
        """
        return KinesisAccess(
            region=self.region,
            endpoint=self.endpoint,
            access_key_id=self.access_key_id,
            secret_access_key=self.secret_access_key,
            role_arn=self.role_arn,
            external_id=self.external_id,
            proxy=self.proxy,
            connect_timeout_seconds=self.connect_timeout_seconds,
            timeout_seconds=self.timeout_seconds,
            connections=connections,
        )
