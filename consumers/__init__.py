"""What comes off the stream: engines that feed records to processors, and the processors."""
