"""What seeds give, the same on every machine."""

SAMPLE_OF_SEED_7 = "6fb09d5a2d7d0ad46b469d91f5c844fe282f6bd9f3761dda8d4ea639e27720f1"
