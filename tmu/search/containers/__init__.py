"""What lies inside a file, read by the libraries of its format: a scan of compressed bytes finds nothing.

Parquet, Arrow, zip (npz, exported models), gzip, bzip2, xz, zstd, lz4, safetensors, npy, pictures, and pictures in text
or in the middle of other bytes. SQLite is read in `databases.py`.
"""

import lzma
import zipfile
import zlib
from collections.abc import Callable, Iterator

import pyarrow as pa

from tmu.search.containers import archives, arrays, embedded, tables
from tmu.search.containers.kinds import is_packed, kind_of
from tmu.search.containers.part import Around, Part
from tmu.search.scan import Buffer

__all__ = ["Around", "Part", "is_packed", "parts", "tail_of"]

_OPENERS: dict[str, Callable[[bytes, Around], Iterator[Part]]] = {
    "parquet": tables.parquet_parts,
    "arrow": tables.arrow_parts,
    "zip": archives.zip_parts,
    "gzip": archives.gzip_parts,
    "bzip2": archives.bzip2_parts,
    "xz": archives.xz_parts,
    "zstd": archives.zstd_parts,
    "lz4": archives.lz4_parts,
    "closed": archives.closed_parts,
    "npy": arrays.npy_parts,
    "safetensors": arrays.safetensors_parts,
    "picture": embedded.picture_parts,
}
_BROKEN = (
    OSError, ValueError, KeyError, TypeError, EOFError, pa.ArrowException, zipfile.BadZipFile, lzma.LZMAError,
    zlib.error, RuntimeError, NotImplementedError, MemoryError, OverflowError, SyntaxError,
)  # fmt: skip


def parts(data: Buffer, around: Around) -> Iterator[Part]:
    """The parts of bytes, by what they begin with; none for plain ones."""
    kind = kind_of(bytes(data[:512]))
    if kind is None:
        yield from embedded.pictures_in(data)
        return
    try:
        yield from _OPENERS[kind](bytes(data), around)
    except _BROKEN as error:
        yield Part(inside="", unread=f"{kind} cannot be read ({type(error).__name__})")


def tail_of(data: Buffer) -> int:
    """Where the bytes end that are scanned as they are: before the footer of Parquet, which holds the tombstones."""
    if len(data) > 12 and bytes(data[:4]) == b"PAR1" and bytes(data[-4:]) == b"PAR1":
        footer = int.from_bytes(bytes(data[-8:-4]), "little")
        return max(0, len(data) - 8 - footer)
    return len(data)
