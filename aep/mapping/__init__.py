"""What a route makes of a record before it is checked: maps, patches, conditions, `_id`s, upserts, messages."""
