"""A local Adobe Experience Platform: a server for demos and tests that speaks Adobe's own HTTP contract."""
