from typing import ClassVar

from amazon_kclpy.messages import (
    InitializeInput,
    LeaseLostInput,
    ProcessRecordsInput,
    ShardEndedInput,
    ShutdownRequestedInput,
)

class RecordProcessorBase:
    version: ClassVar[int]
    def initialize(self, initialize_input: InitializeInput) -> None: ...
    def process_records(self, process_records_input: ProcessRecordsInput) -> None: ...
    def lease_lost(self, lease_lost_input: LeaseLostInput) -> None: ...
    def shard_ended(self, shard_ended_input: ShardEndedInput) -> None: ...
    def shutdown_requested(self, shutdown_requested_input: ShutdownRequestedInput) -> None: ...
