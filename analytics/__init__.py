"""The lake: the code that writes it beside the code that reads it."""
