"""`python -m tests.end_to_end.limited BYTES MODULE ARGUMENTS`: runs a module whose files can grow no longer than that.

So it goes on a full disk: what fits is written, the rest refused. Python ignores the signal that comes with it.
"""

import resource
import runpy
import sys


def main() -> None:
    size = int(sys.argv[1])
    module, *arguments = sys.argv[2:]
    resource.setrlimit(resource.RLIMIT_FSIZE, (size, size))
    sys.argv = [module, *arguments]
    runpy.run_module(module, run_name="__main__", alter_sys=True)


if __name__ == "__main__":
    main()
