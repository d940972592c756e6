"""Programs around another one, run with `python -m`: no module imports them."""
