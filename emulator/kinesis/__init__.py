"""A local Amazon Kinesis Data Streams for unmodified AWS clients. Sources: AWS's API reference and service model."""
