"""AEP's inlets as a kind of destination."""
