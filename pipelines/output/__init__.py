"""What commands and runs print, fitted to where it goes."""
