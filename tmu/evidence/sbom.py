"""The bill of materials of the running environment, as CycloneDX JSON. The same packages give the same bytes.

Versions are those that are installed; digests are those of the lock file, of all files of a package that it allows.
"""

import re
import uuid
from collections.abc import Collection, Iterable
from datetime import datetime
from functools import cache
from importlib.metadata import Distribution, distributions
from pathlib import Path

from cyclonedx.model import ExternalReference, ExternalReferenceType, HashAlgorithm, HashType, XsUri
from cyclonedx.model.bom import Bom
from cyclonedx.model.component import Component, ComponentType
from cyclonedx.output.json import JsonV1Dot6
from packageurl import PackageURL

from tmu import __version__
from tmu.files import digest_of

NAME = "sbom.cdx.json"
_PIN = re.compile(r"^(?P<name>[A-Za-z0-9._-]+)(\[[^]]*\])?==(?P<version>[^\s;\\]+)")
_HASH = re.compile(r"--hash=sha256:([0-9a-f]{64})")


def bill_of_materials(at: str, lock: Path | None) -> bytes:
    """Of the distributions that this process can import. at: its date (ISO 8601). lock: the lock file, where there is
    one.
    """
    hashes = _locked(lock.read_text()) if lock is not None and lock.is_file() else {}
    return made_of(installed(), at, hashes)


@cache
def installed() -> frozenset[tuple[str, str]]:
    """Name and version of what this process can import, read once in its life: it is what was there at its start."""
    return pinned(distributions())


def pinned(found: Iterable[Distribution]) -> frozenset[tuple[str, str]]:
    """Name and version of distributions, each once."""
    named = ((each.metadata["Name"], each) for each in found)  # each access reads and parses the whole file anew
    return frozenset((_plain(name), each.version) for name, each in named if name)


def made_of(found: Collection[tuple[str, str]], at: str, hashes: dict[str, list[str]]) -> bytes:
    """Of these names and versions. hashes: SHA-256 by `name==version`."""
    pins = sorted(found)
    parts = [_component(name, version, hashes.get(f"{name}=={version}", [])) for name, version in pins if name != "tmu"]
    bom = Bom(components=parts, serial_number=uuid.uuid5(uuid.NAMESPACE_URL, digest_of([at, pins])))
    bom.metadata.timestamp = datetime.fromisoformat(at)
    bom.metadata.component = Component(name="tmu", version=__version__, type=ComponentType.APPLICATION, bom_ref="tmu")
    bom.register_dependency(bom.metadata.component, parts)
    return (JsonV1Dot6(bom).output_as_string(indent=1) + "\n").encode()


def _component(name: str, version: str, hashes: list[str]) -> Component:
    page = f"https://pypi.org/project/{name}/{version}/"
    files = [HashType(alg=HashAlgorithm.SHA_256, content=each) for each in hashes]
    reference = ExternalReference(type=ExternalReferenceType.DISTRIBUTION, url=XsUri(page), hashes=files)
    return Component(
        name=name,
        version=version,
        type=ComponentType.LIBRARY,
        bom_ref=f"{name}=={version}",
        purl=PackageURL("pypi", name=name, version=version),
        external_references=[reference],
    )


def _locked(text: str) -> dict[str, list[str]]:
    """The digests of a lock file by `name==version`."""
    found: dict[str, list[str]] = {}
    for line in text.replace("\\\n", " ").splitlines():
        if match := _PIN.match(line):
            found[f"{_plain(match['name'])}=={match['version']}"] = sorted(_HASH.findall(line))
    return found


def _plain(name: str) -> str:
    """A distribution's name in the one form that registries use."""
    return re.sub(r"[-_.]+", "-", name).lower()
