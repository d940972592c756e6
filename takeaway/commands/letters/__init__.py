"""dlq ...: records that a consumer could not process, the way back, and the way out."""
