"""What seeds give, the same on every machine."""

SAMPLE_OF_SEED_7 = "a278bd4d23b8efe66adfa656b545ff9e80ac1d0358353e7c23c5e52ae2e02b82"
