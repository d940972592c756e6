from typing import BinaryIO, TextIO

from amazon_kclpy.checkpoint_error import CheckpointError as CheckpointError
from amazon_kclpy.v3.processor import RecordProcessorBase

class Checkpointer:
    def checkpoint(self, sequence_number: str | None = None, sub_sequence_number: int | None = None) -> None: ...

class KCLProcess:
    def __init__(
        self,
        record_processor: RecordProcessorBase,
        input_file: TextIO | BinaryIO = ...,
        output_file: TextIO = ...,
        error_file: TextIO = ...,
    ) -> None: ...
    def run(self) -> None: ...
