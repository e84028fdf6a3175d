"""The program of test_threads.py: estimators in many Python threads.

    python -m tests.robustness.threads outcomes.json predictions two_at_once

makes checks, which are functions of concurrent_calls or thread_counts, and writes for each
"as promised" or what it saw instead.
"""

import faulthandler
import json
import os
import sys
import traceback
from pathlib import Path

import joblib

from fastnet._engine import dispatch

from . import concurrent_calls, thread_counts


def main(path, *checks):
    # To fastnet, the machine has as many cores as numba is told to have.
    os.sched_getaffinity = lambda pid: set(range(thread_counts.N_CORES))
    joblib.cpu_count = lambda: thread_counts.N_CORES
    dispatch.MIN_CALL_WORK = dispatch.MIN_SHARED_WORK = 0
    dispatch.MIN_COUNTED_WORK = 0
    dispatch.BLOCK_WORK = 10_000
    # Let threads take turns in the middle of what should be one step.
    sys.setswitchinterval(1e-5)
    outcomes = {}
    for check in checks:
        # Should this very process hang, then its stack shows where.
        faulthandler.dump_traceback_later(concurrent_calls.DEADLINE, exit=True)
        module = concurrent_calls if hasattr(concurrent_calls, check) else thread_counts
        try:
            getattr(module, check)()
            outcomes[check] = "as promised"
        except Exception:
            outcomes[check] = traceback.format_exc()
        Path(path).write_text(json.dumps(outcomes))


if __name__ == "__main__":
    main(*sys.argv[1:])
