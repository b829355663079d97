"""An Apache Kafka broker as companies set it up: users, access rights, and listeners with addresses of their own."""

from __future__ import annotations

from collections.abc import Sequence

from confluent_kafka.admin import (
    AclBinding,
    AclBindingFilter,
    AclOperation,
    AclPermissionType,
    ResourcePatternType,
    ResourceType,
)

from testing.services.kafka import KafkaBroker
from testing.services.process import PATIENCE_SECONDS, free_port, wait_for

# Who asks without a name is the administrator; users have no rights but those that they are given.
PROPERTIES = """\
listeners=PLAINTEXT://127.0.0.1:{port},CONTROLLER://127.0.0.1:{controller_port},SASL://127.0.0.1:{sasl_port},\
HIDDEN://127.0.0.1:{hidden_port},OAUTH://127.0.0.1:{oauth_port}
advertised.listeners=PLAINTEXT://127.0.0.1:{port},SASL://127.0.0.1:{sasl_port},HIDDEN://{hidden_name}:{hidden_port},\
OAUTH://127.0.0.1:{oauth_port}
listener.security.protocol.map=PLAINTEXT:PLAINTEXT,CONTROLLER:PLAINTEXT,HIDDEN:PLAINTEXT,SASL:SASL_PLAINTEXT,\
OAUTH:SASL_PLAINTEXT
listener.name.sasl.sasl.enabled.mechanisms=PLAIN
listener.name.oauth.sasl.enabled.mechanisms=OAUTHBEARER
listener.name.oauth.oauthbearer.sasl.jaas.config=\
org.apache.kafka.common.security.oauthbearer.OAuthBearerLoginModule required unsecuredLoginStringClaim_sub="broker";
listener.name.sasl.plain.sasl.jaas.config=\
org.apache.kafka.common.security.plain.PlainLoginModule required {users};
authorizer.class.name=org.apache.kafka.metadata.authorizer.StandardAuthorizer
super.users=User:ANONYMOUS
"""
PASSWORD = "open-sesame"


class SecuredKafka(KafkaBroker):
    """A broker with four addresses.

    Attributes:
        bootstrap_servers: For the administrator.
        sasl_servers: For `users`, by SASL PLAIN with `PASSWORD`.
        oauth_servers: For users whom an unsigned token (JWT) names as `sub`, as Kafka checks it where nothing is set.
        hidden_servers: For everybody; it gives clients the address `hidden_name`, which cannot be resolved.
    """

    hidden_name = "kafka-0.internal.invalid"

    def __init__(self, users: Sequence[str]) -> None:
        super().__init__(session_ms=60_000)
        sasl_port, oauth_port, hidden_port = free_port(), free_port(), free_port()
        self.sasl_servers, self.oauth_servers = f"127.0.0.1:{sasl_port}", f"127.0.0.1:{oauth_port}"
        self.hidden_servers = f"127.0.0.1:{hidden_port}"
        self._more_properties = PROPERTIES.format(
            port=self.port,
            controller_port=self._controller_port,
            sasl_port=sasl_port,
            oauth_port=oauth_port,
            hidden_port=hidden_port,
            hidden_name=self.hidden_name,
            users=" ".join(f'user_{user}="{PASSWORD}"' for user in users),
        )

    def allow(self, user: str, operation: AclOperation, kind: ResourceType, name: str) -> None:
        """Give a user a right to the topic, group or cluster of this name, from now on; `*` for all."""
        allowed = _allowed(user, operation, kind, name)
        admin = self._admin()
        for future in admin.create_acls([AclBinding(*allowed)]).values():
            future.result(PATIENCE_SECONDS)
        wait_for(lambda: self._knows(allowed), PATIENCE_SECONDS, "the broker to know of the right")

    def deny(self, user: str, operation: AclOperation, kind: ResourceType, name: str) -> None:
        """Take a right away, from the next request on."""
        allowed = _allowed(user, operation, kind, name)
        admin = self._admin()
        for future in admin.delete_acls([AclBindingFilter(*allowed)]).values():
            future.result(PATIENCE_SECONDS)
        wait_for(lambda: not self._knows(allowed), PATIENCE_SECONDS, "the broker to know that the right is gone")

    def _knows(self, allowed: tuple[object, ...]) -> bool:
        """Return whether the broker has a right, which it hears of from the controller a moment after that has it."""
        admin = self._admin()
        return bool(admin.describe_acls(AclBindingFilter(*allowed)).result(PATIENCE_SECONDS))

    def options(self, user: str) -> dict[str, object]:
        """Return options to connect as a user whose password the environment variable KAFKA_PASSWORD has."""
        config = {
            "security.protocol": "SASL_PLAINTEXT",
            "sasl.mechanism": "PLAIN",
            "sasl.username": user,
            "sasl.password": "env:KAFKA_PASSWORD",
        }
        return {"kafka_bootstrap_servers": self.sasl_servers, "kafka_config": config}


def _allowed(user: str, operation: AclOperation, kind: ResourceType, name: str) -> tuple[object, ...]:
    return kind, name, ResourcePatternType.LITERAL, f"User:{user}", "*", operation, AclPermissionType.ALLOW
