"""A page with the pictures of near copies side by side, for whoever must decide on them. It leaves no machine."""

import io
from base64 import b64encode
from collections.abc import Mapping, Sequence
from html import escape
from typing import Any

import numpy as np
from PIL import Image

from tmu.data.store import RecordStore

_HEAD = (
    "<!doctype html><meta charset='utf-8'><title>Near copies</title>"
    "<style>body{font:14px sans-serif}img{height:160px;image-rendering:pixelated}td{padding:4px 12px}</style>"
    "<h1>Near copies</h1><p>This page holds pictures of people, and no deletion reaches it. Delete it when you have "
    "looked.</p><table>"
)


def pairs_page(store: RecordStore, pairs: Sequence[Mapping[str, Any]]) -> str:
    """HTML with both pictures of each pair. pairs: `near_pairs` of `verify_store`."""
    rows = []
    for pair in pairs:
        cells = "".join(
            f"<td>{_picture(store, key)}<br>{escape(key)}<br>{escape(split)}</td>"
            for key, split in zip(pair["records"], pair["splits"], strict=True)
        )
        rows.append(f"<tr>{cells}<td>{int(pair['bits'])} bits</td></tr>")
    return f"{_HEAD}{''.join(rows)}</table>\n"


def _picture(store: RecordStore, key: str) -> str:
    (image,) = store.at(store.index().find_records([key])[0]).images
    out = io.BytesIO()
    pixels = image[0] if len(image) == 1 else np.ascontiguousarray(image.transpose(1, 2, 0))
    Image.fromarray(pixels).save(out, "PNG")
    return f"<img src='data:image/png;base64,{b64encode(out.getvalue()).decode()}'>"
