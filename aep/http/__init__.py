"""HTTP to Adobe: transport and its time limits, proxies and TLS, tokens, secrets, pauses."""
