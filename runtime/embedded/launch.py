"""Runs a command that dies with the process that started it, even when that one is killed with -9.

Called as a script, ``launch.py PARENT SIGNAL COMMAND…``: the kernel is asked to send SIGNAL once the parent
is gone (Linux; elsewhere the command just runs), then this process becomes the command.
"""

import ctypes
import os
import sys

PR_SET_PDEATHSIG = 1


def main() -> None:
    parent, signal_number, command = int(sys.argv[1]), int(sys.argv[2]), sys.argv[3:]
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(PR_SET_PDEATHSIG, signal_number)
        if os.getppid() != parent:
            sys.exit("the parent is already gone")
    os.execvp(command[0], command)  # noqa: S606


if __name__ == "__main__":
    main()
