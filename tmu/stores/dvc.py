"""DVC, which versions the data: behind this adapter because its Python interface is not documented.

Calls go through DVC's command line in a process of its own; what a revision holds is read from DVC's cache, whose
layout (`files/md5/xx/…`, folders as JSON lists) a contract test pins. One DVC writer at a time: commands wait for the
repository's lock.
"""

import configparser
import json
import os
import re
import shutil
import subprocess
import sys
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager
from functools import cached_property
from pathlib import Path, PurePosixPath

import yaml

from tmu.data.digest import md5_file
from tmu.errors import DataError, StorageError
from tmu.files import link_or_copy, new_folder, storage_errors, write_atomic
from tmu.permissions import OTHERS, tighten
from tmu.stores.dvc_waiting import Waiting
from tmu.stores.s3_access import S3Access

_SITE_CACHE = Path(".tmu", "dvc-site")
_SECTION = 'remote "storage"'
_LISTING = "listing"
_RECORD = Path(".tmu", "committed")


class DvcVersions:
    """The data versions of one project. `root` holds `.dvc`, the data folder and `<folder>.dvc`.

    `remote_url`: where `push` and `pull` go (`s3://bucket/prefix` or a folder); `access`: how S3 is reached. DVC finds
    the keys in its environment; they are not written anywhere.
    """

    def __init__(self, root: Path, remote_url: str | None = None, access: S3Access | None = None) -> None:
        self.root, self.remote_url = Path(root).resolve(), remote_url
        self._access = access or S3Access()
        self._site_cache = self.root / _SITE_CACHE
        self._waiting = Waiting()
        self._asked: Future[dict[str, str]] | None = None

    @contextmanager
    def made_ready(self, commands: int) -> Iterator[None]:
        """Inside, so many commands find DVC's imports done, which takes half a second each otherwise.

        The first one asks for DVC's settings, while other work goes on.
        """
        self._waiting.start(commands)
        with ThreadPoolExecutor(1) as pool:
            self._asked = pool.submit(self._ask)
            try:
                yield
            finally:
                if self._asked.exception():  # whoever needed them was told, and the next one asks again
                    self._asked = None
                self._waiting.close()

    def init(self) -> None:
        """Make `root` a DVC repository with our settings; may be repeated.

        `--no-scm` unless `root` is the top of a git repository: a `.dvc` below the top of a repository that is about
        something else would have its files tracked there. `site_cache_dir` is kept inside `root`, because DVC's
        system-wide one keeps file names and hashes after a purge; it goes to `config.local`, which is never committed.
        It is written relative, so that a copy of the workspace leaves the original alone; DVC takes it from the folder
        in which `dvc` is called, which is to be `root`.
        """
        if not (self.root / ".dvc").is_dir():
            in_git = (self.root / ".git").exists()
            self._dvc("init", *(() if in_git else ("--no-scm",)))
        self._configure("config", "core", {"analytics": "false", "check_update": "false", "autostage": "false"})
        if self.remote_url:
            endpoint = self._access.endpoint_url
            remote = {"url": self.remote_url} | ({"endpointurl": endpoint} if endpoint else {})
            self._configure("config", f"'{_SECTION}'", remote)
            self._configure("config", "core", {"remote": "storage"})
        self._configure("config.local", "core", {"site_cache_dir": str(_SITE_CACHE)})

    def commit(self, folder: Path) -> str:
        """`dvc add` a folder below `root`: its files go to the cache, `<folder>.dvc` names the revision. → digest.

        Without links anew: they would copy every file of the folder, and give it another inode and date.
        """
        self._dvc("add", "--no-relink", self._relative(folder))
        digest = self.revision(folder)
        self._record(digest)
        return digest

    def revision(self, folder: Path) -> str:
        """The digest (`….dir`) that `<folder>.dvc` names; `DataError` if the folder was never committed."""
        pointer = self.root / f"{self._relative(folder)}.dvc"
        try:
            digest = yaml.safe_load(pointer.read_text())["outs"][0]["md5"]
        except FileNotFoundError as error:
            raise DataError(f"There is no {pointer.name}.", "Import a dataset first.") from error
        except (yaml.YAMLError, KeyError, IndexError, TypeError) as error:
            raise DataError(
                f"{pointer.name} names no revision.", "Restore it from git, or commit the data again."
            ) from error
        return str(digest)

    def recorded(self) -> frozenset[str]:
        """The digests of all folders that were ever committed here, for a purge: DVC does not remember whose they are.

        Kept in `.tmu/committed`, one a line.
        """
        path = self.root / _RECORD
        return frozenset(path.read_text().split()) if path.is_file() else frozenset()

    @cached_property
    def settings(self) -> dict[str, str]:
        """DVC's own settings with all paths absolute, such as `cache.dir` and `remote.storage.url`."""
        return self._asked.result() if self._asked else self._ask()

    def _ask(self) -> dict[str, str]:
        lines = (line.partition("=") for line in self._dvc("config", "--list").splitlines())
        return {name: value for name, _, value in lines}

    def materialise(self, digest: str) -> Path:
        """A folder with the files of a revision, `.tmu/revisions/<digest>`; hard links into DVC's cache where possible.

        Every file's MD5 is checked when the folder is made; a folder that is there already is used as it is. Nothing
        may write into it. It keeps the bytes of a revision alive, so that a purge has to remove it as well.
        """
        target = self._revision_folder(digest)
        if not target.is_dir():
            cache = self._md5s()
            entries = _read_listing(_object(cache, digest), digest)
            with new_folder(target) as building:
                _link(cache, entries, building)
                for name, md5 in entries.items():
                    _check(building / name, md5)
        return target

    def linked(self, digest: str) -> tuple[Path, dict[str, str]]:
        """A revision of which nothing was read yet: its folder, and the MD5 of each file by name.

        Whoever reads a file of it compares the MD5 (`RecordStore.open(listed=...)`): so a part of a revision can be
        read without hashing all of it. The list itself is checked at each call. Nothing may write into the folder.
        """
        place = self._revision_folder(digest).with_suffix(".linked")
        if not place.is_dir():
            cache = self._md5s()
            entries = _read_listing(_object(cache, digest), digest)
            with new_folder(place) as building:
                shutil.copyfile(_object(cache, digest), building / _LISTING)
                _link(cache, entries, building / "files")
        return place / "files", _read_listing(place / _LISTING, digest)

    def parts(self, digest: str, names: Callable[[str], bool]) -> dict[str, Path]:
        """Those files of a revision whose names are wanted, as they lie in DVC's cache; each MD5 is checked.

        Nothing is linked or copied, so that looking leaves no trace. Raises StorageError where one is not there.
        """
        cache = self._md5s()
        entries = _read_listing(_object(cache, digest), digest)
        found = {name: _object(cache, md5) for name, md5 in entries.items() if names(name)}
        for name, path in found.items():
            if not path.is_file():
                raise _absent(digest)
            _check(path, entries[name])
        return found

    def _revision_folder(self, digest: str) -> Path:
        if not re.fullmatch(r"[0-9a-f]{32}\.dir", digest):
            raise DataError(
                "That is no data revision.", "A revision is 32 hexadecimal digits and `.dir`, as in `data.dvc`."
            )
        return self.root / ".tmu" / "revisions" / digest

    def push(self) -> None:
        """Send the current revision to the remote; nothing without one."""
        if self.remote_url:
            self._dvc("push")

    def pull(self) -> None:
        """Fetch the current revision from the remote and put it in place."""
        self._dvc("pull")

    def movable(self) -> bool:
        """Whether DVC's settings here name no fixed folder; those that an older tmu wrote do."""
        parser = configparser.ConfigParser(interpolation=None)
        parser.read(self.root / ".dvc" / "config.local")
        return not Path(parser.get("core", "site_cache_dir", fallback="")).is_absolute()

    def _record(self, digest: str) -> None:
        known = self.recorded()
        if digest not in known:
            write_atomic(self.root / _RECORD, "".join(f"{each}\n" for each in sorted({*known, digest})).encode())

    def run_cache(self) -> Path:
        """The folder in which DVC remembers the runs of `dvc.yaml` stages, by digests of what went in and came out."""
        return self.cache() / "runs"

    def _relative(self, folder: Path) -> str:
        path = (self.root / folder).resolve()
        if not path.is_relative_to(self.root) or path == self.root:
            raise DataError(f"{folder} is not below {self.root}.", "Keep the data folder inside the project.")
        return path.relative_to(self.root).as_posix()

    def cache(self) -> Path:
        """The folder of DVC's cache; a shared one lies outside `root`."""
        return Path(self.settings.get("cache.dir", self.root / ".dvc" / "cache"))

    def _md5s(self) -> Path:
        return self.cache() / "files" / "md5"

    def _dvc(self, *arguments: str) -> str:
        """Run DVC in `root` and return its output; `StorageError` with DVC's own reason if it fails.

        What it made is then its owner's alone: DVC gives objects mode 444 and its site cache 777, whatever the umask.
        """
        if arguments[0] != "init" and not (self.root / ".dvc").is_dir():
            # DVC would look further up and take a repository that is not ours
            raise StorageError(f"There is no DVC repository at {self.root}.", "Run `tmu init` there first.")
        given = ["--wait-for-lock", *arguments]
        environment = os.environ | {"DVC_NO_ANALYTICS": "1", "DVC_SITE_CACHE_DIR": str(self._site_cache)}
        environment |= self._access.environment()
        if self._access.endpoint_url:
            # away from Amazon there is no metadata service, and asking for it turns a missing key into a long wait
            environment.setdefault("AWS_EC2_METADATA_DISABLED", "true")
        done = self._waiting.run(given, self.root, environment) or subprocess.run(
            [sys.executable, "-m", "dvc", *given],
            cwd=self.root,
            env=environment,
            capture_output=True,
            text=True,
            check=False,
            umask=OTHERS,
        )
        with storage_errors(self.root):
            tighten(self.root / ".dvc", self._site_cache)
        if done.returncode:
            raise StorageError(f"`dvc {arguments[0]}` failed: {_reason(done.stderr)}.", "Fix that and run it again.")
        return done.stdout

    def _configure(self, name: str, section: str, settings: dict[str, str]) -> None:
        """Set values in one of DVC's INI files and leave the others; `dvc config` would take a second a value."""
        path = self.root / ".dvc" / name
        parser = configparser.ConfigParser(interpolation=None)
        parser.read(path)
        if not parser.has_section(section):
            parser.add_section(section)
        parser[section].update(settings)
        lines = [
            f"[{part}]\n" + "".join(f"    {key} = {value}\n" for key, value in parser[part].items())
            for part in parser.sections()
        ]
        write_atomic(path, "".join(lines).encode())


def _object(cache: Path, md5: str) -> Path:
    return cache / md5[:2] / md5[2:]


def _absent(digest: str) -> StorageError:
    return StorageError(
        f"A part of revision {digest} is not in DVC's cache.",
        "Fetch it with `dvc pull` or `dvc fetch`; what a purge took is nowhere.",
    )


def _read_listing(path: Path, digest: str) -> dict[str, str]:
    """MD5 by relative path, from DVC's object of a folder; checked against its name."""
    if not path.is_file():
        raise _absent(digest)
    if f"{md5_file(path)}.dir" != digest:
        raise StorageError(f"DVC's list of revision {digest} was changed.", "Delete it from the cache and `dvc fetch`.")
    entries = {entry["relpath"]: entry["md5"] for entry in json.loads(path.read_bytes())}
    for name in entries:
        parts = PurePosixPath(name)
        if parts.is_absolute() or ".." in parts.parts:
            raise StorageError(f"Revision {digest} names a file outside its folder.", "Do not use that revision.")
    return entries


def _link(cache: Path, entries: dict[str, str], folder: Path) -> None:
    for name, md5 in entries.items():
        cached, path = _object(cache, md5), folder / name
        if not cached.is_file():
            raise _absent(md5)
        path.parent.mkdir(parents=True, exist_ok=True)
        link_or_copy(cached, path)


def _check(path: Path, md5: str) -> None:
    if md5_file(path) != md5:
        raise StorageError(f"Object {md5} in DVC's cache was changed.", "Delete it from the cache and `dvc fetch`.")


def _reason(stderr: str) -> str:
    """DVC's first error line, without its label and full stop."""
    lines = [line.strip() for line in stderr.splitlines() if line.strip()]
    chosen = next((line for line in lines if line.startswith("ERROR:")), lines[-1] if lines else "no reason given")
    return chosen.removeprefix("ERROR:").strip().rstrip(".")
