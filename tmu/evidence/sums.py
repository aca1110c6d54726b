"""`SHA256SUMS`: the digests of a bundle's files, in the form that `sha256sum -c` reads."""

import re
from pathlib import Path

from tmu.errors import DataError
from tmu.files import sha256_file, write_atomic

SUMS = "SHA256SUMS"
_LINE = re.compile(r"(?P<digest>[0-9a-f]{64})  (?P<name>[A-Za-z0-9][A-Za-z0-9._/-]*)")


def write_sums(folder: Path) -> dict[str, str]:
    """Write the sums of all files of a folder; returns them by name."""
    names = sorted(path.relative_to(folder).as_posix() for path in folder.rglob("*") if path.is_file())
    sums = {name: sha256_file(folder / name) for name in names if name != SUMS}
    write_atomic(folder / SUMS, "".join(f"{digest}  {name}\n" for name, digest in sums.items()).encode())
    return sums


def parse_sums(content: bytes) -> dict[str, str]:
    """Digests by name. Raises DataError for another form, or for a name that would leave the folder."""
    sums = {}
    for line in content.decode(errors="replace").splitlines():
        match = _LINE.fullmatch(line)
        if match is None or ".." in Path(match["name"]).parts:
            raise DataError(f"A line of {SUMS} is no digest with a name.", "Fetch the bundle again: `tmu pull`.")
        sums[match["name"]] = match["digest"]
    return sums


def read_sums(folder: Path) -> dict[str, str]:
    """The sums of a folder. Raises DataError where there are none."""
    try:
        return parse_sums((folder / SUMS).read_bytes())
    except OSError as error:
        raise DataError(f"{folder} is no bundle: it has no {SUMS}.", "`tmu pull ID` fetches one.") from error


def check_sums(folder: Path) -> int:
    """The number of files, each of which has its digest. Raises DataError naming the first that has not."""
    sums = read_sums(folder)
    for name, digest in sums.items():
        if not (folder / name).is_file():
            raise DataError(f"{name} is missing in {folder}.", "Fetch the bundle again: `tmu pull`.")
        if sha256_file(folder / name) != digest:
            raise DataError(f"{name} in {folder} was changed.", "Fetch the bundle again: `tmu pull`.")
    return len(sums)
