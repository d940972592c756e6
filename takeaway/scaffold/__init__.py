"""Begins a consumer in a checkout: its module, its test, its line in the list and its steps of the choreography."""

from takeaway.scaffold.asked import NewConsumer, wanted
from takeaway.scaffold.files import checkout, put, written

__all__ = ["NewConsumer", "checkout", "put", "wanted", "written"]
