"""Streaming ingestion: what a request looks like, what AEP's answers mean, and the client that delivers batches."""
