"""A run that is killed takes its processes with it: left alone they would hold a core and a gigabyte each."""

import subprocess
import sys
import time

_RUN = """
import time
from bench.runner import start

if __name__ == "__main__":
    pool = start._processes(2)
    for _ in range(2):
        pool.submit(time.sleep, 600)
    while not all(process.is_alive() for process in pool._processes.values()) or len(pool._processes) < 2:
        time.sleep(0.05)
    print(*pool._processes, flush=True)
    time.sleep(600)
"""


def _alive(pid: int) -> bool:
    try:
        with open(f"/proc/{pid}/stat") as stat:
            return stat.read().rpartition(")")[2].split()[0] != "Z"
    except (FileNotFoundError, ProcessLookupError):
        return False


def test_a_killed_run_leaves_no_process_behind(tmp_path):
    (tmp_path / "run.py").write_text(_RUN)
    with subprocess.Popen([sys.executable, str(tmp_path / "run.py")], stdout=subprocess.PIPE, text=True) as run:
        workers = [int(pid) for pid in run.stdout.readline().split()]
        assert len(workers) == 2 and all(map(_alive, workers))
        run.kill()
        run.wait()
        deadline = time.monotonic() + 60
        while any(map(_alive, workers)) and time.monotonic() < deadline:
            time.sleep(0.1)
    assert not any(map(_alive, workers))
