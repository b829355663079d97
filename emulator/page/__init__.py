"""The emulator's page: a few views for people, rendered on the server, over the same services as Adobe's APIs."""
