"""The options of Adobe Experience Platform."""

from pipelines.options.group import OptionGroup, option
from pipelines.options.types import (
    Count,
    Headers,
    HeaderValue,
    InletUrl,
    Operations,
    ProxyUrl,
    ProxyUser,
    Seconds,
    SecretReference,
    Statuses,
    Url,
)
from transforms.aep.inlet import Auth
from transforms.records.delivery import Order


class AepOptions(OptionGroup):
    """Adobe Experience Platform: destination, credentials, network and retries."""

    inlet_url: InletUrl | None = option(None, "The streaming connection's inletUrl: https://HOST/collection/INLET_ID.")
    org_id: HeaderValue | None = option(None, "The organisation, as ID@AdobeOrg, for the message's header (imsOrgId).")
    dataset_id: str | None = option(None, "The dataset, for the message's header (datasetId).")
    flow_id: HeaderValue | None = option(
        None,
        "The dataflow, sent as x-adobe-flow-id. Raw payloads need it; Adobe requires it where the connection has one.",
    )
    source_name: str | None = option(None, "The source's name in the message's header. Null: AEP's own.")
    auth: Auth = option(
        "none", "none: an inlet without authentication. oauth: server-to-server credentials. token: a ready token."
    )
    ims_url: Url = option("https://ims-na1.adobelogin.com", "Adobe's identity service (IMS), for aep_auth=oauth.")
    client_id: HeaderValue | None = option(None, "Client id of the credentials, for aep_auth=oauth.")
    client_secret: SecretReference | None = option(None, "Reference to the client secret, for aep_auth=oauth.")
    token: SecretReference | None = option(None, "Reference to an access token, for aep_auth=token.")
    # As the Developer Console lists them for a server-to-server credential of Experience Platform.
    scopes: str = option(
        "openid,AdobeID,read_organizations,additional_info.projectedProductContext,session",
        "Scopes to ask IMS for, separated by commas.",
    )
    operations: Operations = option(
        {},
        "Make upserts of raw records: header.operations as {data: merge} or {data: create, identity: create, "
        "identityDatasetId: ID}.",
    )
    key_field: str | None = option(
        None, "The attribute that a tombstone's key becomes in a delete. Null: keys are JSON objects of attributes."
    )
    order: Order = option(
        "none",
        "key: records of one key arrive in their order, as aep_max_in_flight shards of keys with one request at a time "
        "each. none: requests overlap.",
    )
    headers: Headers = option({}, "Additional HTTP headers for each request, such as x-sandbox-name.")
    timeout_seconds: Seconds = option(60.0, "How long to wait for an answer.", "seconds")
    connect_timeout_seconds: Seconds = option(10.0, "How long to wait for a connection.", "seconds")
    read_timeout_seconds: Seconds | None = option(
        None, "Longest silence while an answer is received. Null: as long as aep_timeout_seconds.", "seconds"
    )
    allow_plain_http: bool = option(
        False,
        "Allow requests with credentials by http://, where they can be read on the way, to other hosts than this "
        "machine: to AEP, IMS and Confluent's Schema Registry.",
    )
    proxy: ProxyUrl | None = option(
        None, "Proxy to AEP and IMS: http://HOST:PORT. Null: none; the environment's is never used."
    )
    proxy_user: ProxyUser | None = option(None, "User name for a proxy that requires one (Basic).")
    proxy_password: SecretReference | None = option(None, "Reference to the password for the proxy.")
    ca_file: str | None = option(
        None, "PEM file of the authorities to trust for TLS. Null: the public ones, as certifi has them."
    )
    client_certificate: str | None = option(
        None, "PEM file of a client certificate, for a server or proxy that asks for one."
    )
    client_key: str | None = option(
        None, "PEM file of the client certificate's private key. Null: it is in the certificate's file."
    )
    client_key_password: SecretReference | None = option(
        None, "Reference to the password of the private key, for a key that is encrypted."
    )
    platform_url: Url = option(
        "https://platform.adobe.io", "The gateway of Experience Platform's APIs, for provision, lookup, ..."
    )
    sandbox: HeaderValue = option("prod", "The sandbox that these APIs are called for.")
    gzip: bool = option(
        False, "Compress requests with gzip. Adobe does not document it: only for inlets known to accept it."
    )
    max_in_flight: Count = option(
        8,
        "Most concurrent requests, for each worker process and inlet; fewer while AEP is slow or refuses them.",
        "requests",
    )
    max_messages_per_second: Seconds | None = option(
        None, "Most messages sent, for each worker process and inlet. Null: as many as AEP takes.", "messages/s"
    )
    retry_budget_seconds: Seconds | None = option(
        None, "Fail the bundle after retrying one request for this long. Null: without limit.", "seconds"
    )
    retry_max_delay_seconds: Seconds = option(60.0, "Longest pause between retries.", "seconds")
    retry_statuses: Statuses = option(
        (408, 429, 500, 502, 503, 504), "Statuses after which the same request is sent again.", "HTTP status"
    )
    max_first_refusals: Count | None = option(
        20,
        "Stop when this many messages are refused before any is accepted: the set-up is wrong, not the messages. Null: "
        "dead-letter them all.",
        "messages",
    )
