"""AEP as a destination: its inlets, their clients, and the step that posts."""
