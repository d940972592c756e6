"""Other contracts over the same doors; each is run, and none is imported by the product."""
