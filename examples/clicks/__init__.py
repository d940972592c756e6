"""Page clicks: an event of its own, published and counted through the doors of publisher and engine. See README.md."""
