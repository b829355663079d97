"""The pipelines, one a module, and what runs them."""

import logging


def _not_about_bigquery(record: logging.LogRecord) -> bool:
    return "apitools not found" not in record.msg


# Beam says on import that it could not use BigQuery, which no pipeline here does.
logging.getLogger().addFilter(_not_about_bigquery)
