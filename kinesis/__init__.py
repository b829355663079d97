"""Amazon Kinesis Data Streams without Beam: access, limits, and what its answers mean."""
