"""What demo, bench and tests share: real services, and fakes. Nothing else imports it."""
