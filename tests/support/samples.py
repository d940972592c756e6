"""What seeds give, the same on every machine."""

SAMPLE_OF_SEED_7 = "cf1d1a26469ae4efa726a162cfdcaeddad3ce2ea9f98a6bb5ef7ecde2996ca9e"
