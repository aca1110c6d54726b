"""The command line in this process, which dies by SIGKILL in a store's own step of a purge. See test_purge_stores.py.

python -m tests.integration.purge_store_child POINT WORD...        POINT `none` dies nowhere
"""

import sys
from collections.abc import Iterable
from typing import Any

from tests.integration.crash_child import die

POINTS = ("between two versions of an object", "between rewriting the tables and the log")


def plant(point: str) -> None:
    """Put the death where it belongs."""
    if point == POINTS[0]:
        from tmu.stores.s3_versions import S3Versions

        real = S3Versions.destroy

        def destroy(store: S3Versions, versions: Iterable[Any]) -> int:
            every = list(versions)
            done = real(store, every[:1])
            if len(every) > 1:
                die()
            return done

        S3Versions.destroy = destroy
    elif point == POINTS[1]:
        from tmu.ledger import rewrite

        rewrite._overwrite_segments = die
    elif point != "none":
        raise SystemExit(f"no point {point}")


def main() -> None:
    from tmu.cli import main as tmu

    plant(sys.argv[1])
    sys.argv = ["tmu", *sys.argv[2:]]
    tmu()


if __name__ == "__main__":
    main()
