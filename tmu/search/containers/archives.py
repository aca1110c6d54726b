"""Archives and compressed files: what they unpack to."""

import bz2
import gzip
import io
import lzma
import zipfile
from collections.abc import Iterator

import pyarrow as pa

from tmu.search.containers.part import MOST_BYTES, Around, Part


def zip_parts(data: bytes, around: Around) -> Iterator[Part]:
    """Each member, and its name."""
    with zipfile.ZipFile(io.BytesIO(data)) as archive:
        for member in archive.infolist():
            inside = f"member {member.filename}"
            yield Part(inside=f"{inside}, name", data=member.filename.encode() + member.comment)
            if member.flag_bits & 1:
                yield Part(inside=inside, unread="it is encrypted")
            elif member.file_size > MOST_BYTES:
                yield Part(inside=inside, unread="it unpacks to too much")
            else:
                yield Part(inside=inside, data=archive.read(member))


def gzip_parts(data: bytes, around: Around) -> Iterator[Part]:
    """What gzip compressed."""
    yield _unpacked(gzip.GzipFile(fileobj=io.BytesIO(data)))


def bzip2_parts(data: bytes, around: Around) -> Iterator[Part]:
    """What bzip2 compressed."""
    yield _unpacked(bz2.BZ2File(io.BytesIO(data)))


def xz_parts(data: bytes, around: Around) -> Iterator[Part]:
    """What xz compressed."""
    with lzma.LZMAFile(io.BytesIO(data)) as stream:
        yield _unpacked(stream)


def zstd_parts(data: bytes, around: Around) -> Iterator[Part]:
    """What zstd compressed."""
    yield _unpacked(pa.CompressedInputStream(pa.BufferReader(data), "zstd"))


def lz4_parts(data: bytes, around: Around) -> Iterator[Part]:
    """What lz4 compressed."""
    yield _unpacked(pa.CompressedInputStream(pa.BufferReader(data), "lz4"))


def closed_parts(data: bytes, around: Around) -> Iterator[Part]:
    """An archive of which nothing can be said."""
    yield Part(inside="", unread="it is an archive of a kind that is not opened here")


def _unpacked(stream: io.IOBase) -> Part:
    with stream:
        found = stream.read(MOST_BYTES + 1)
    if len(found) > MOST_BYTES:
        return Part(inside="unpacked", unread="it unpacks to too much")
    return Part(inside="unpacked", data=found)
