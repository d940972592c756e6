"""`python -m takeaway.programs.foreign COMMAND`: runs a program that is not ours, and leaves nothing of it behind.

LocalStack starts Kinesis in a session of its own, where no signal to LocalStack's group reaches it.
"""

import signal
import subprocess
import sys
from types import FrameType

from takeaway.local import end_relatives

# Less than `takeaway.programs.following` gives us. LocalStack takes about five seconds.
GRACE_SECONDS = 8


def main() -> None:
    child = subprocess.Popen(sys.argv[1:])  # noqa: S603 - our own arguments, no shell

    def end(_number: int, _frame: FrameType | None) -> None:
        child.terminate()
        signal.alarm(GRACE_SECONDS)

    def insist(_number: int, _frame: FrameType | None) -> None:
        child.kill()

    signal.signal(signal.SIGALRM, insist)
    signal.signal(signal.SIGTERM, end)
    code = child.wait()
    signal.alarm(0)
    end_relatives()
    sys.exit(code if code >= 0 else 128 - code)


if __name__ == "__main__":
    main()
