"""What the tests share: builders, fakes of the services, and whole worlds made of them."""

from pathlib import Path

ROOT = Path(__file__).parents[2]
