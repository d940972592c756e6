"""What seeds give, the same on every machine."""

SAMPLE_OF_SEED_7 = "082d2220f8c08928f331edddbd200f9e33c6133680f65da72600af7e2d1026d4"
