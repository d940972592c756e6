"""What Kinesis takes and gives: https://docs.aws.amazon.com/streams/latest/dev/service-sizes-and-limits.html

Emulators enforce little of it, so our own side does.
"""

from datetime import timedelta

# A PutRecords request: https://docs.aws.amazon.com/kinesis/latest/APIReference/API_PutRecords.html
# Partition keys count into both sizes.
MAX_REQUEST_RECORDS = 500
MAX_REQUEST_BYTES = 5 * 1024 * 1024
MAX_RECORD_BYTES = 1024 * 1024
# Where the stream allows larger records: https://docs.aws.amazon.com/streams/latest/dev/large-records.html
MAX_LARGE_REQUEST_BYTES = 10 * 1024 * 1024
MAX_KEY_CHARACTERS = 256

# What a shard takes in any one second.
WRITE_BYTES_PER_SECOND = 1024 * 1024
WRITE_RECORDS_PER_SECOND = 1000

# What a shard gives in any one second to all that poll it together, and in one answer.
READS_PER_SECOND = 5
READ_BYTES_PER_SECOND = 2 * 1024 * 1024
MAX_READ_RECORDS = 10_000

# A record is kept for 24 hours at least: https://docs.aws.amazon.com/streams/latest/dev/kinesis-extended-retention.html
# One hour of it is margin, for clocks that differ and for the time between a judgement and its read.
SURELY_RETAINED = timedelta(hours=23)
