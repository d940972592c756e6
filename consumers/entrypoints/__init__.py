"""What the KCL's daemon and Lambda start, what a mapping needs, and the zip of the function: run, not imported."""
