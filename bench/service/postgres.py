"""A PostgreSQL of one's own for a measurement or a test: in a temporary folder, on loopback, as safe as a real one.

It listens on a free port and on a socket, asks for a password, and waits for the disk at each commit (`fsync` on). It
does not run as root: there it becomes user `postgres`.
"""

import os
import secrets
import shutil
import signal
import socket
import subprocess
import tempfile
import time
from contextlib import suppress
from pathlib import Path
from typing import Any

import psycopg
from psycopg import sql

_USER = "tmu"
_SECONDS = 30


def programs() -> Path | None:
    """The folder of the newest installed server's programs; None where there is none that can be run here."""
    if os.getuid() == 0 and shutil.which("runuser") is None:
        return None
    found = sorted(Path("/usr/lib/postgresql").glob("*/bin/initdb"), key=lambda path: float(path.parts[-3]))
    here = shutil.which("initdb")
    return found[-1].parent if found else (Path(here).parent if here else None)


class Postgres:
    """A server: `start`, then `new_database` for an address; `kill` and `start` again; `remove` at the end."""

    def __init__(self, folder: str | None = None) -> None:
        self.folder = Path(tempfile.mkdtemp(prefix="tmu-postgres-", dir=folder))
        self.port = _free_port()
        self._password = secrets.token_hex(16)
        self._bin = programs()
        self._process: subprocess.Popen[bytes] | None = None
        self._owner: dict[str, Any] = {}
        if os.getuid() == 0:
            shutil.chown(self.folder, "postgres", "postgres")
            self._owner = {"user": "postgres", "group": "postgres", "extra_groups": []}

    def start(self) -> "Postgres":
        """Start it, made on first use, and wait until it answers. Raises RuntimeError with the end of its log."""
        if not (self.folder / "data").exists():
            self._make()
        command = [str(self._bin / "postgres"), "-D", str(self.folder / "data"), "-k", str(self.folder)]
        command += ["-p", str(self.port), "-c", "listen_addresses=127.0.0.1", "-c", "shared_buffers=128MB"]
        deadline = time.monotonic() + _SECONDS
        while not self._answers():
            if time.monotonic() > deadline:
                raise RuntimeError((self.folder / "log").read_text(errors="replace")[-2000:])
            if self._process is None or self._process.poll() is not None:  # a killed one's children may linger
                with (self.folder / "log").open("ab") as log:
                    self._process = subprocess.Popen(command, stdout=log, stderr=log, cwd="/", **self._owner)
            time.sleep(0.05)
        return self

    def stop(self) -> None:
        """Stop it in order: transactions under way are broken off."""
        self._end(signal.SIGINT)

    def kill(self) -> None:
        """Kill -9 of the server; its children end by themselves when they notice."""
        self._end(signal.SIGKILL)

    def remove(self) -> None:
        """Stop it and remove all that it stored."""
        self.stop()
        shutil.rmtree(self.folder, ignore_errors=True)

    def new_database(self, name: str | None = None) -> str:
        """Make an empty database; returns its SQLAlchemy address (TCP)."""
        name = name or f"tmu_{secrets.token_hex(4)}"
        with self._connect() as connection:
            connection.execute(sql.SQL("CREATE DATABASE {}").format(sql.Identifier(name)))
        return f"postgresql+psycopg://{_USER}:{self._password}@127.0.0.1:{self.port}/{name}"

    def _make(self) -> None:
        secret = self.folder / "password"
        secret.write_text(self._password)
        secret.chmod(0o600)
        if self._owner:
            shutil.chown(secret, "postgres", "postgres")
        command = [str(self._bin / "initdb"), "-D", str(self.folder / "data"), "-U", _USER, "--pwfile", str(secret)]
        command += ["-A", "scram-sha-256", "-E", "UTF8", "--locale=C", "--no-sync"]
        subprocess.run(command, check=True, stdout=subprocess.DEVNULL, cwd="/", **self._owner)

    def _connect(self) -> psycopg.Connection[Any]:
        place = {"host": "127.0.0.1", "port": self.port, "user": _USER, "password": self._password}
        return psycopg.connect(**place, dbname="postgres", connect_timeout=5, autocommit=True)

    def _answers(self) -> bool:
        if self._process is None or self._process.poll() is not None:
            return False
        with suppress(psycopg.OperationalError), self._connect():
            return True
        return False

    def _end(self, how: signal.Signals) -> None:
        if self._process is not None and self._process.poll() is None:
            self._process.send_signal(how)
            self._process.wait(_SECONDS)
        self._process = None


def _free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        return taken.getsockname()[1]
