"""What runs a pipeline: plan, preflight, the run itself, its report and logs."""
