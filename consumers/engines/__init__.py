"""Three ways to be fed; none knows an event."""
