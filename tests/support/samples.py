"""What seeds give, the same on every machine."""

SAMPLE_OF_SEED_7 = "cc1040318926dba415a9937e594028d8064cdca56bf9281666ce2ec345f70267"
