"""The release after this one, as a copy of the product: an event has a newer version, and there is a new event."""

import os
import shutil
import subprocess
import sys
from pathlib import Path

from tests.support import ROOT
from tests.support.mutations import product

_ACCEPTED = '''    """The restaurant took the order on and promised it for `ready_at`."""
'''
_NEWER = f"""{_ACCEPTED}
    schema_version: ClassVar[int] = 2
    table: Annotated[Annotated[str, Meta(max_length=9)], Meta(extra={{"field_id": 901}})] = "window"
"""
_NEW = '''
class OrderReady(_Event, frozen=True, kw_only=True):
    """The food is on the counter."""

    restaurant_id: RestaurantId
    counter: Annotated[Text, Meta(extra={"field_id": 902})]


Event = OrderReady | ('''
_WRITE_GOLDEN = """
from pathlib import Path
import msgspec
from events import encode
from events.envelope import first
from events.orders import OrderAccepted, OrderReady
from events.wire import decode
folder = Path("events/golden")
accepted = decode((folder / "order_accepted.v1.json").read_bytes())
(folder / "order_accepted.v2.json").write_bytes(encode(accepted))
ready = first(OrderReady(restaurant_id="restaurant-03", counter="two"), order_id="order-42", cause="ready",
              occurred_at=accepted.occurred_at, producer="kitchen")
(folder / "order_ready.v1.json").write_bytes(encode(ready))
"""


class NextRelease:
    """Its folder, and the variables with which a process runs it instead of this one."""

    def __init__(self, to: Path) -> None:
        self.folder = to
        for package in product(ROOT):
            shutil.copytree(ROOT / package, to / package, ignore=shutil.ignore_patterns("__pycache__"))
        contract = to / "events/orders.py"
        text = contract.read_text(encoding="utf-8")
        for old, new in ((_ACCEPTED, _NEWER), ("\nEvent = (", _NEW)):
            assert text.count(old) == 1, old
            text = text.replace(old, new)
        contract.write_text(text, encoding="utf-8")
        self._run("-c", _WRITE_GOLDEN)

    @property
    def environ(self) -> dict[str, str]:
        """The copy comes before the folder that a process is started in, and before what is installed."""
        return {"PYTHONPATH": str(self.folder), "PYTHONSAFEPATH": "1"}

    def golden(self, name: str) -> bytes:
        return (self.folder / "events" / "golden" / f"{name}.json").read_bytes()

    def _run(self, *arguments: str) -> None:
        command = [sys.executable, *arguments]
        subprocess.run(command, cwd=self.folder, env=os.environ | self.environ, check=True)  # noqa: S603 - our own
