"""Adobe's interfaces: one module each, over the state, and `/__local` for test benches."""
