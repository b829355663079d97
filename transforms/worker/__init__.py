"""What belongs to the worker process: shared clients and counts."""
