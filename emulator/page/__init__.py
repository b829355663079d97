"""The emulator's page: a few views rendered on the server, over the same services as Adobe's APIs."""
