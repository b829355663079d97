"""The export of profiles to destinations: from a change of a profile to a record on a stream."""
