"""XDM: resolved schemas, and records checked against them as Experience Platform does."""
