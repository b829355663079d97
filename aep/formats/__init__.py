"""The formats of records, JSON and Avro, and conversion to XDM types."""
