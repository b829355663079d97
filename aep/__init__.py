"""Adobe Experience Platform without Beam: streaming ingestion, authentication, XDM validation."""
