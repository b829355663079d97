"""Streaming ingestion: the form of requests, the meaning of AEP's replies, and the client that delivers batches."""
