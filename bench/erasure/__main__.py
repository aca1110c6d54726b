"""`python -m bench.erasure`: both lists of the independent search, on the embedded default and on versioned buckets."""

import argparse
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path

from bench.erasure.lists import write
from bench.erasure.scenario import Ground, searched

_DOCS = Path(__file__).parents[2] / "docs"
_GROUNDS = ("embedded", "s3")


def main() -> int:
    """Run what is asked for, and write the lists. Ends with 1 unless each search after passed."""
    parser = argparse.ArgumentParser(prog="python -m bench.erasure", description=__doc__)
    parser.add_argument("--only", choices=_GROUNDS, help="one ground; the lists then hold it alone")
    parser.add_argument("--out", type=Path, default=_DOCS, help="folder of the lists (docs)")
    options = parser.parse_args()
    found = []
    for name in [options.only] if options.only else _GROUNDS:
        with tempfile.TemporaryDirectory(prefix="tmu-erasure-") as folder, _ground(name, Path(folder)) as ground:
            found.append(searched(ground))
            print(
                f"{ground.name}: before {found[-1].before['outcome']}, after {found[-1].after['outcome']}", flush=True
            )
    for page in write(options.out, found, datetime.now(UTC).date().isoformat()):
        print(page)
    return int(any(each.after["outcome"] != "PASS" for each in found))


@contextmanager
def _ground(name: str, folder: Path) -> Iterator[Ground]:
    if name == "embedded":
        yield Ground(
            "The embedded default, DVC's remote in a folder", folder, {"TMU_DVC_REMOTE": str(folder / "remote")}
        )
        return
    from bench.erasure.store import versioned_store

    with versioned_store(folder) as settings:
        yield Ground("Data, models and MLflow's files in S3, buckets with versions", folder, settings)


if __name__ == "__main__":
    raise SystemExit(main())
