"""What the local AEP remembers, and what becomes of it: definitions, messages, batches, profiles."""
