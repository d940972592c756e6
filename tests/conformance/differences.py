"""What an engine cannot have, by case, and why. These cases are not run for it, and no others: a test counts them.

docs/engines.md shows the same table.
"""

WORKER, KCL, LAMBDA = "worker", "kcl", "aws_lambda"
ENGINES = (WORKER, KCL, LAMBDA)

_LAMBDA_KEEPS_IT = "Lambda itself keeps the position: there is no checkpoint to throttle"
_ONE_AT_A_TIME = "Lambda runs one invocation a shard at a time, and ends one that is given up"
_NOT_CALLED = "a shard that is gone invokes nobody"
_NO_STOP = "an invocation flushes at its own end; nothing is left to stop"

DIFFERENCES: dict[str, dict[str, str]] = {
    WORKER: {},
    KCL: {
        "reads_that_fail_lose_nothing": "the daemon reads, not its child",
        "a_lost_answer_repeats_no_more_than_a_batch": "the daemon, not its child, talks to the lease table",
    },
    LAMBDA: {
        "reads_that_fail_lose_nothing": "Lambda reads, not the function",
        "where_the_processor_is_behind_nothing_is_left_out": "Lambda never tells where it read from: its word is taken",
        "one_of_two_that_fails_keeps_nothing_from_the_other": "it gives nothing behind a batch that is not done",
        "a_checkpoint_lies_inside_an_aggregate": "it names a Kinesis record, not a place inside one",
        "a_throttled_checkpoint_is_written_later": _LAMBDA_KEEPS_IT,
        "who_lost_its_shard_checkpoints_nothing": _ONE_AT_A_TIME,
        "who_lost_its_shard_stops": _ONE_AT_A_TIME,
        "time_passes_on_an_idle_shard": "an idle shard invokes nobody; what is left flushes with its own batch",
        "stopping_flushes_what_waits": _NO_STOP,
        "a_restart_repeats_nothing": _NO_STOP,
        "stopping_while_a_record_fails_loses_nothing": _NO_STOP,
        "a_shard_that_is_gone_with_unread_records_is_told": _NOT_CALLED,
        "an_archiver_stops_at_a_shard_that_is_gone_with_unread_records": _NOT_CALLED,
    },
}


def cannot(engine: str, case: str) -> bool:
    return case in DIFFERENCES[engine]
