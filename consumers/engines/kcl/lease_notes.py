"""What a child of the KCL's daemon notes beside a lease that the daemon holds: what keeps its shard from getting on."""

from datetime import datetime

from botocore.exceptions import BotoCoreError, ClientError

from consumers.diagnostics import LeaseNotNoted
from consumers.engines.worker.leases import LeaseTable, Note
from consumers.processing import Trouble
from foundation.clock import Clock
from foundation.diagnostics import Emit


class LeaseNotes:
    """Written when a shard is begun, when trouble comes, and when it is over; a note that cannot be written is said.

    It names no worker and no position: the daemon alone knows whose the lease is, and moves it.
    """

    def __init__(self, table: LeaseTable, *, clock: Clock, emit: Emit) -> None:
        self._table = table
        self._clock = clock
        self._emit = emit
        self._held_since: datetime = clock.now()

    def tell(self, shard_id: str, trouble: Trouble | None) -> None:
        try:
            self._table.note(shard_id, Note("", "", None, self._held_since, trouble))
        except (BotoCoreError, ClientError) as error:
            self._emit(LeaseNotNoted(shard_id, error))
