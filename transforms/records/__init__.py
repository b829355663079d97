"""The elements that flow, and what a record goes through: chunks, routes, dead letters, preparation."""
