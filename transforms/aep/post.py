"""PostToAep: batches to AEP's streaming ingestion."""

from __future__ import annotations

from transforms.post import Post


class PostToAep(Post):
    """Posts each batch to the inlet of its route; see `Post`."""
