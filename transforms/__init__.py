"""The PTransforms of the pipelines. They wire and count; `aep` decides."""
