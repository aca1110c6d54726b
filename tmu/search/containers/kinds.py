"""What kind of file bytes are, by what they begin with."""

_MARKS: dict[bytes, str] = {
    b"PAR1": "parquet",
    b"ARROW1": "arrow",
    b"PK\x03\x04": "zip",
    b"PK\x05\x06": "zip",
    b"\x1f\x8b": "gzip",
    **{b"BZh%d1AY&SY" % level: "bzip2" for level in range(1, 10)},
    b"\xfd7zXZ\x00": "xz",
    b"\x28\xb5\x2f\xfd": "zstd",
    b"\x04\x22\x4d\x18": "lz4",
    b"7z\xbc\xaf": "closed",
    b"Rar!": "closed",
    b"\x93NUMPY": "npy",
    b"\x89PNG\r\n": "picture",
    b"\xff\xd8\xff": "picture",
    b"GIF8": "picture",
    b"II*\x00": "picture",
    b"MM\x00*": "picture",
}
_HEAD = 512


def kind_of(data: bytes) -> str | None:
    """The kind of a container, named as what opens it is; None for plain bytes. Their beginning is enough."""
    head = bytes(data[:_HEAD])
    for mark, kind in _MARKS.items():
        if head.startswith(mark):
            return kind
    if len(head) > 9 and head[8:9] == b"{" and 2 < int.from_bytes(head[:8], "little") < 1 << 28:
        return "safetensors"
    if (head[:4] == b"RIFF" and head[8:12] == b"WEBP") or (head[:2] == b"BM" and head[6:10] == bytes(4)):
        return "picture"
    return None


def is_packed(data: bytes) -> bool:
    """Whether bytes are a container by their beginning."""
    return kind_of(data) is not None
