"""python -m tests.fake_driver PROMPTS OUT WORKERS SECONDS [GRACE]: a driver of its own, to be killed."""

import json
import signal
import sys
from pathlib import Path

from mmcache.tools.generating import drive
from tests.fake_jobs import run_fake


def listen(event: str, **about: object) -> None:
    print(json.dumps({"event": event, **about}), flush=True)


if __name__ == "__main__":
    signal.signal(signal.SIGINT, signal.default_int_handler)  # also where the tests were started by nohup
    prompts, out, workers, seconds, *grace = sys.argv[1:]
    if grace:
        drive.GRACE = float(*grace)
    result = run_fake(Path(prompts), Path(out), int(workers) or None, seconds=float(seconds), listener=listen)
    sys.exit(result.exit_code)
