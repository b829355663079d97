"""What the commands of `beam-aep` do, beside running pipelines; a module ending in `_cli` is a command."""
