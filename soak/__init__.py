"""A soak: the pipeline under random faults at a steady rate, every record accounted for at the end."""
