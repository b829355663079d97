"""Platform's management APIs: one module each, over one client."""
