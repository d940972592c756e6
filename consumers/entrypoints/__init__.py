"""What the KCL's daemon and Lambda start, and the zip of the function: run, not imported."""
