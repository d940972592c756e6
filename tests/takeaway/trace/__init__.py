"""Tests of one order's timeline."""
