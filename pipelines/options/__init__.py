"""Options: their declarations, files, checks and help; routes."""
