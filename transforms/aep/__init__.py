"""AEP as a destination: its inlets, how they are talked to, and the step that posts."""
