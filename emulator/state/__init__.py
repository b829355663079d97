"""State of the local AEP: definitions, messages, batches, profiles."""
