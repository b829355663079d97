"""Rules of audiences: PQL as far as it is evaluated here. Pure functions."""
