"""The Ray cluster that a crew works on: one at an address, or one of this machine while it is needed.

Whoever may talk to a Ray cluster may run code on it. So tmu always turns Ray's token on, and a cluster that tmu starts
listens on loopback alone, without dashboard, with a token that nobody else has. Usage reports are off.
"""

import logging
import os
import secrets
import shutil
import socket
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from importlib import import_module
from pathlib import Path
from typing import Any

from tmu.errors import ConfigError, StorageError

_SECONDS = 5.0  # that a cluster's head may take to answer
_STORE_BYTES = 100 * 2**20  # shared memory of a cluster of ours: nothing large is sent
_LOOPBACK = "RAY_ENABLE_WINDOWS_OR_OSX_CLUSTER"  # "0": Ray takes loopback for this machine's address, on Linux, too
_TOKENS = ("RAY_AUTH_TOKEN", "RAY_AUTH_TOKEN_PATH")


@dataclass(frozen=True)
class Cluster:
    """address: host:port, or None for a cluster of this machine alone. token: file with what it asks for; None: where
    Ray itself looks (RAY_AUTH_TOKEN, RAY_AUTH_TOKEN_PATH, ~/.ray/auth_token).
    """

    address: str | None = None
    token: Path | None = None

    @contextmanager
    def connected(self) -> Iterator[Any]:
        """The module `ray`, connected. A process that is connected already stays so.

        Raises ConfigError where Ray is not installed or the token is missing or wrong, StorageError where nobody
        answers at the address.
        """
        self._environment()
        ray = self.module()
        if ray.is_initialized():
            yield ray
            return
        _read_again(alone=self.address is None)
        folder = None if self.address else tempfile.mkdtemp(prefix="ray-")
        try:
            self._connect(ray, folder)
            yield ray
        finally:
            ray.shutdown()
            if folder is not None:
                shutil.rmtree(folder, ignore_errors=True)

    @staticmethod
    def module() -> Any:
        """`ray`, imported."""
        try:
            return import_module("ray")
        except ImportError as error:
            raise ConfigError(
                "The compute backend `ray` is not installed.",
                "Install it: `pip install -e '.[ray]'` in the repository.",
            ) from error

    def _environment(self) -> None:
        """What Ray reads when it is imported, and what its processes inherit."""
        if os.environ.get("RAY_AUTH_MODE", "token").lower() != "token":
            raise ConfigError(
                "RAY_AUTH_MODE turns Ray's token off: anybody who reaches a port of Ray could run code.",
                "Unset it, or set it to `token`.",
            )
        os.environ |= {"RAY_AUTH_MODE": "token", "RAY_USAGE_STATS_ENABLED": "0"}
        if self.token is not None:
            if not self.token.is_file():
                raise ConfigError(
                    f"There is no file {self.token} with the token of the Ray cluster.",
                    "Fix `compute_token`; `ray get-auth-token` prints a cluster's token.",
                )
            os.environ.pop("RAY_AUTH_TOKEN", None)
            os.environ["RAY_AUTH_TOKEN_PATH"] = str(self.token)
        os.environ.pop(_LOOPBACK, None)
        if self.address is None:
            os.environ[_LOOPBACK] = "0"
            if not any(os.environ.get(name) for name in _TOKENS):
                os.environ["RAY_AUTH_TOKEN"] = secrets.token_hex(32)

    def _connect(self, ray: Any, folder: str | None) -> None:
        quiet = {"log_to_driver": False, "logging_level": logging.ERROR}
        if folder is not None:
            ray.init(
                **quiet,
                num_cpus=len(os.sched_getaffinity(0)),
                include_dashboard=False,
                object_store_memory=_STORE_BYTES,
                _temp_dir=folder,
            )
            _refuse_open(ray)
            return
        self._reach()
        try:
            _raylet().GcsClient(
                address=self.address
            )  # it says what `ray.init` keeps to itself: that the token is refused
            ray.init(address=self.address, **quiet)
        except ray.exceptions.AuthenticationError as error:
            raise ConfigError(
                f"The Ray cluster at {self.address} does not accept this token.",
                "Set `compute_token` to a file with the cluster's token; `ray get-auth-token` prints it there.",
            ) from error
        except (ConnectionError, RuntimeError, TimeoutError, ValueError, ray.exceptions.RayError) as error:
            raise StorageError(
                f"The Ray cluster at {self.address} cannot be joined: {str(error).splitlines()[0]}",
                "Run tmu on a machine of the cluster, with the versions of its Ray and Python.",
            ) from error

    def _reach(self) -> None:
        """Ray itself waits long for an address at which nobody listens."""
        assert self.address is not None
        host, _, port = self.address.rpartition(":")
        try:
            socket.create_connection((host.strip("[]"), int(port)), _SECONDS).close()
        except (OSError, OverflowError) as error:
            raise StorageError(
                f"Nobody answers at {self.address}, where `compute_address` says that a Ray cluster is.",
                "Start its head there (docs/compute.md), or fix the setting.",
            ) from error


def _read_again(alone: bool) -> None:
    """Ray reads its environment once, and it may have been imported before. alone: on loopback."""
    constants: Any = import_module("ray._private.ray_constants")
    constants.ENABLE_RAY_CLUSTER = not alone
    _raylet().Config.initialize("")
    _raylet().AuthenticationTokenLoader.instance().reset_cache()


def _raylet() -> Any:
    """Ray's compiled part, of which there are no types."""
    return import_module("ray._raylet")


def _refuse_open(ray: Any) -> None:
    """Raise StorageError where a cluster of ours is not on loopback."""
    addresses = {node["NodeManagerAddress"] for node in ray.nodes()}
    if addresses != {"127.0.0.1"}:
        raise StorageError(
            f"This version of Ray listens beyond this machine, at {', '.join(sorted(addresses))}.",
            "Install the one that tmu pins: `pip install -e '.[ray]'` in the repository.",
        )
