"""What every package stands on and no one owns: the clock, settings from the environment, diagnostics."""
