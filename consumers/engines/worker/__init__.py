"""Our own engine: leases in the format of the KCL, one thread a shard."""

from consumers.engines.worker.settings import WorkerSettings
from consumers.engines.worker.worker import Worker

__all__ = ["Worker", "WorkerSettings"]
