"""The pictures that were erased, so that no copy of them comes back: one line each, in `.tmu/suppression/`.

A line holds no picture. It has an HMAC of the pixels, which tells exact copies (also re-encoded without loss, under
another id, by another reader), and the picture's look (`tmu/data/looks.py`), encrypted under the workspace's key, which
tells near copies. Without the key neither can be tested. It is kept as long as the workspace, to keep the person out.
"""

import json
from base64 import b64decode, b64encode
from collections.abc import Iterable, Sequence
from pathlib import Path

import numpy as np
from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESSIV
from pydantic import ValidationError

from tmu.config import Config
from tmu.data.keys import Keys
from tmu.data.looks import BITS, distances, looks, near_bound
from tmu.data.pixel_digests import digests
from tmu.errors import StorageError
from tmu.files import write_atomic

FILE = "pictures.jsonl"
_LABEL = b"tmu suppressed look"


class Suppressed(Config):
    """One erased picture. key_id: of the secret. pixels: HMAC, hex. look: encrypted, base64. bound: `near_bound`."""

    format: int = 1
    key_id: str
    pixels: str
    look: str
    bound: int


class Pictures:
    """The list of one workspace. keys: its secrets, the current one first; entries under another one are an error."""

    def __init__(self, folder: Path, keys: Sequence[Keys]) -> None:
        self._path, self._keys = folder / FILE, {each.id: each for each in keys}
        self._current = keys[0]
        self.entries = self._read()
        self._exact = {entry.pixels for entry in self.entries}
        self._looks = np.array([self._opened(entry) for entry in self.entries], bool).reshape(-1, BITS)
        self._bounds = np.array([entry.bound for entry in self.entries], np.int64)

    def __len__(self) -> int:
        return len(self.entries)

    def add(self, images: Iterable[np.ndarray], staying: Sequence[np.ndarray]) -> int:
        """Write down pictures, uint8 (C, H, W), before they are erased; returns how many are new.

        staying: other pictures of the same data, from which `near_bound` follows. Each picture is listed once, so that
        the same call may be repeated after a crash.
        """
        pictures = list(images)
        bound, found = near_bound(looks(staying)), self.entries
        for image, seen in zip(pictures, looks(pictures), strict=True):
            pixels = self._pixels(self._current, image)
            if pixels not in self._exact:
                self._exact.add(pixels)
                found = [
                    *found,
                    Suppressed(key_id=self._current.id, pixels=pixels, look=self._sealed(seen), bound=bound),
                ]
        fresh = len(found) - len(self.entries)
        if fresh:
            self._write(found)
        return fresh

    def remove(self, images: Iterable[np.ndarray]) -> int:
        """Take back pictures, uint8 (C, H, W), whose erasure was withdrawn; returns how many were listed."""
        back = {self._pixels(keys, image) for image in images for keys in self._keys.values()}
        stays = [entry for entry in self.entries if entry.pixels not in back]
        if len(stays) < len(self.entries):
            self._write(stays)
        return len(self.entries) - len(stays)

    def _write(self, entries: Iterable[Suppressed]) -> None:
        lines = "".join(f"{json.dumps(entry.model_dump(), sort_keys=True)}\n" for entry in entries)
        write_atomic(self._path, lines.encode(), private=True)

    def exact(self, image: np.ndarray) -> bool:
        """Whether these very pixels, uint8 (C, H, W), were erased."""
        return any(self._pixels(keys, image) in self._exact for keys in self._keys.values())

    def exact_digests(self, values: Iterable[bytes]) -> int:
        """How many of the pictures with these digests (`pixel_digests`, 16 bytes each) were erased."""
        values = list(values)
        return len({value for value in values for keys in self._keys.values() if keys.picture(value) in self._exact})

    def near(self, image: np.ndarray) -> bool:
        """Whether a picture, or its mirror image, looks like an erased one."""
        if not len(self):
            return False
        seen = looks([image, image[:, :, ::-1]])
        return bool((distances(seen, self._looks) <= self._bounds).any())

    @staticmethod
    def _pixels(keys: Keys, image: np.ndarray) -> str:
        return keys.picture(digests(image[None])[0])

    def _sealed(self, seen: np.ndarray) -> str:
        return b64encode(AESSIV(self._current.suppression()).encrypt(np.packbits(seen).tobytes(), [_LABEL])).decode()

    def _opened(self, entry: Suppressed) -> np.ndarray:
        keys = self._keys.get(entry.key_id)
        try:
            if keys is None:
                raise StorageError(
                    f"{self._path} has pictures under another secret (key id {entry.key_id}).",
                    "Bring that secret back: without it erased pictures could return unnoticed.",
                )
            plain = AESSIV(keys.suppression()).decrypt(b64decode(entry.look), [_LABEL])
        except (InvalidTag, ValueError) as error:
            raise self._damaged() from error
        return np.unpackbits(np.frombuffer(plain, np.uint8))

    def _read(self) -> list[Suppressed]:
        try:
            lines = self._path.read_text().splitlines()
        except FileNotFoundError:
            return []
        try:
            return [Suppressed.model_validate_json(line) for line in lines]
        except (ValidationError, UnicodeDecodeError) as error:
            raise self._damaged() from error

    def _damaged(self) -> StorageError:
        return StorageError(
            f"The list of erased pictures {self._path} is damaged.",
            "Restore that file from a backup: without it erased pictures could return unnoticed.",
        )
