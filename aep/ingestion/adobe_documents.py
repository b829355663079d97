"""The documents of Adobe that the rules of streaming ingestion cite, as they were read."""

from __future__ import annotations

API = "Streaming Ingestion API (OpenAPI)"
MULTIPLE = "Stream multiple messages in a single HTTP request"
VALIDATION = "Streaming validation guide"
CONNECTOR = "Adobe's Kafka Connect sink"

OUR_CHOICE = "Not documented; our choice"

ADDRESSES = {
    API: "https://github.com/AdobeDocs/experience-platform-apis/blob/16c60cd/static/swagger-specs/streaming-ingestion.yaml",
    MULTIPLE: "https://github.com/AdobeDocs/experience-platform.en/blob/defbdf5/help/ingestion/tutorials/"
    "streaming-multiple-messages.md",
    VALIDATION: "https://github.com/AdobeDocs/experience-platform.en/blob/d955473/help/ingestion/quality/"
    "streaming-validation.md",
    CONNECTOR: "https://github.com/adobe/experience-platform-streaming-connect/tree/da7726c",
}
