"""lag, tail: the stream as its consumers read it, and as it comes."""
