"""What a page click is: as a value, as bytes on the wire, and which clicks stay in order."""

from datetime import datetime

import msgspec

STREAM = "page-clicks"


class PageClicked(msgspec.Struct, frozen=True):
    """A visitor opened a page. A click that comes twice has the same `click_id`."""

    click_id: str
    page: str
    visitor: str
    at: datetime


def encode(click: PageClicked) -> bytes:
    return msgspec.json.encode(click)


def decode(data: bytes) -> PageClicked:
    """Raises `msgspec.MsgspecError` for bytes that are no click."""
    return msgspec.json.decode(data, type=PageClicked)


def partition_key(click: PageClicked) -> str:
    """A page's clicks lie on one shard, so that whoever reads that shard counts the page alone."""
    return click.page
