"""Files with holes, such as the one in which Ceph keeps its objects: what was never written is not read.

A hole is zeros, and no needle is. A piece is read with a MiB of zeros around it, so that what ends in a hole is whole.
"""

import errno
import os
from typing import IO

from tmu.search.containers import is_packed

_LEAST, _AROUND = 1 << 26, 1 << 20


def pieces(file: IO[bytes]) -> list[tuple[int, int]]:
    """(start, end) of what is to be read of a large file that is holes for the most part: two at least, its end is one.

    Of any other file one: all of it. A container is read as a whole by its library. So is what takes few blocks and has
    no holes: it is compressed by the file system, not written yet, or of a file system that counts no blocks.
    """
    told, handle = os.fstat(file.fileno()), file.fileno()
    whole = [(0, told.st_size)]
    if told.st_size < _LEAST or 1024 * told.st_blocks > told.st_size or is_packed(os.pread(handle, 512, 0)):
        return whole
    before = os.lseek(handle, 0, os.SEEK_CUR)
    try:
        found = _written(handle, told.st_size)
    finally:
        os.lseek(handle, before, os.SEEK_SET)
    return found if len(found) > 1 or found == whole else [*found, (told.st_size, told.st_size)]


def _written(handle: int, size: int) -> list[tuple[int, int]]:
    """The pieces that were written, each with zeros around it; the beginning is always one."""
    found, at = [(0, _AROUND)], 0
    while at < size:
        try:
            start = os.lseek(handle, at, os.SEEK_DATA)
        except OSError as error:
            if error.errno == errno.ENXIO:  # nothing but a hole from here on
                break
            raise
        at = os.lseek(handle, start, os.SEEK_HOLE)
        begin, end = max(0, start - _AROUND), min(size, at + _AROUND)
        if begin <= found[-1][1]:
            found[-1] = (found[-1][0], end)
        else:
            found.append((begin, end))
    return found
