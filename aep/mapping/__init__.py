"""What a route does with a record before validation: maps, patches, conditions, `_id`s, upserts, messages."""
