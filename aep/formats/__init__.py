"""What records are read from, JSON and Avro, and the types that XDM has."""
