"""The shell around producers, consumers and analytics: one command line for people."""
