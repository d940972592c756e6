"""What goes onto the stream: commands, the orders API, the publisher, and a load worth trusting."""
