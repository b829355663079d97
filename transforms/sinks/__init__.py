"""Where dead letters and receipts are written."""
