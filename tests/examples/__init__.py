"""Tests of what stands in `examples`, run as their readers run it."""
