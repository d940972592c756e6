"""Orders that never were: seeded load, simulated restaurants, and the ledger of all they did."""
