"""HTTP to Adobe: transport and time limits, proxies and TLS, tokens, secrets, back-off."""
