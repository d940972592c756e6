"""`python -m takeaway.programs.following MODULE ARGUMENTS`: runs a module, and ends it when its starter is gone.

The starter holds the other end of our standard input; the system closes it however the starter dies, kill -9 included.
"""

import os
import runpy
import signal
import sys
import threading

from foundation.clock import uninterrupted_wait

# Then whatever the module still waits for is not coming back.
_GRACE_SECONDS = 10.0


def main() -> None:
    threading.Thread(target=_follow, name="following", daemon=True).start()
    module, *arguments = sys.argv[1:]
    sys.argv = [module, *arguments]
    runpy.run_module(module, run_name="__main__", alter_sys=True)


def _follow() -> None:
    while os.read(0, 1024):
        pass
    os.kill(os.getpid(), signal.SIGTERM)
    uninterrupted_wait()(_GRACE_SECONDS)
    os.kill(os.getpid(), signal.SIGKILL)


if __name__ == "__main__":
    main()
