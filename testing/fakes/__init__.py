"""Stand-ins for Adobe's servers and for proxies, in this process."""
