"""Ceph as the S3 store of one machine: a monitor, one store on a plain file, and the RADOS gateway.

No manager, no replication: what is lost with this disk is lost. The file is sparse, 10 GiB at most.
"""

import functools
import json
import shutil
import uuid
from pathlib import Path

from infra.stack import health, s3
from infra.stack.place import Stack
from infra.stack.ports import LOOPBACK, port_of
from infra.stack.programs import call, missing_ceph
from infra.stack.server import Server
from tmu.errors import ConfigError, StorageError
from tmu.files import write_atomic

_CONF = """\
[global]
fsid = {fsid}
mon initial members = a
mon host = v1:{host}:{mon_port}
public addr = {host}
cluster addr = {host}
auth cluster required = cephx
auth service required = cephx
auth client required = cephx
auth allow insecure global id reclaim = false
keyring = {folder}/keyring
run dir = {folder}
admin socket =
pid file =
crash dir = {folder}
log to file = false
log to stderr = true
err to stderr = true
mon cluster log to file = false
mon cluster log to stderr = false
ms bind msgr2 = false
mon warn on pool no redundancy = false
osd pool default size = 1
osd pool default min size = 1
osd pool default pg num = 8
osd pool default pgp num = 8
osd crush chooseleaf type = 0
mon allow pool size one = true
mon max pg per osd = 1000
mon data avail warn = 1
mon data avail crit = 1
[mon.a]
mon data = {folder}/mon
[osd]
osd data = {folder}/osd
osd objectstore = bluestore
bluestore block create = true
bluestore block size = 10737418240
bluestore block db create = false
bluestore cache autotune = true
osd memory target = 939524096
[client.rgw]
rgw frontends = beast endpoint={host}:{port}
rgw thread pool size = 32
rgw enable usage log = false
debug rgw = 0
"""
_KEYS = {  # who may do what in the cluster
    "mon.": ("mon", "allow *"),
    "client.admin": ("mon", "allow *", "osd", "allow *", "mgr", "allow *"),
    "client.rgw": ("mon", "allow rw", "osd", "allow rwx"),
    "osd.0": ("mon", "allow profile osd", "osd", "allow *"),
}


def servers(stack: Stack) -> list[Server]:
    """Monitor, object store, gateway, in this order. Raises ConfigError where Ceph's programs are missing."""
    if missing := missing_ceph():
        raise ConfigError(f"The S3 store of this stack is Ceph, and it lacks {', '.join(missing)}.", _HINT)
    ceph = Ceph(stack)
    return [ceph.monitor(), ceph.storage(), ceph.gateway()]


_HINT = "As root: `infra/install.sh`."


class Ceph:
    """The three daemons and what their first start needs. Every step is built aside, so that it may be repeated."""

    def __init__(self, stack: Stack) -> None:
        self.stack, self.folder = stack, stack.state("ceph")
        self.fsid = uuid.UUID(stack.need("stack_id"))
        self.mon_port = stack.need("ceph_mon_port")
        self.port = port_of(stack.need("s3_endpoint"), "s3_endpoint")
        self.conf = str(self.folder / "ceph.conf")

    def monitor(self) -> Server:
        """Knows who belongs to the cluster."""
        return Server(
            name="ceph-mon",
            label="Ceph monitor",
            command=["ceph-mon", "-c", self.conf, "-i", "a", "-f"],
            environment=self.stack.variables("ceph-mon"),
            probe=health.tcp(self.mon_port),
            before=self._make_monitor,
            port=self.mon_port,
        )

    def storage(self) -> Server:
        """Keeps the objects. It takes its time to stop."""
        return Server(
            name="ceph-osd",
            label="Ceph object store",
            command=["ceph-osd", "-c", self.conf, "-i", "0", "-f"],
            environment=self.stack.variables("ceph-osd"),
            probe=self._up,
            needs=["ceph-mon"],
            before=self._make_storage,
            stop_seconds=60,
        )

    def gateway(self) -> Server:
        """Speaks S3."""
        return Server(
            name="s3",
            label="S3 (Ceph's RADOS gateway)",
            command=["radosgw", "-c", self.conf, "-n", "client.rgw", "-f"],
            environment=self.stack.variables("s3"),
            probe=health.s3(functools.partial(s3.client, self.stack)),
            needs=["ceph-osd"],
            before=self._make_users,
            after=lambda: s3.make_buckets(self.stack),
            stop_seconds=30,
            port=self.port,
            page=self.stack.need("s3_endpoint"),
            watched=self.stack.need("s3_endpoint"),
        )

    def _make_monitor(self) -> None:
        self.folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        facts = {"folder": self.folder, "host": LOOPBACK, "mon_port": self.mon_port, "port": self.port}
        write_atomic(Path(self.conf), _CONF.format(fsid=self.fsid, **facts).encode(), private=True)
        if (self.folder / "mon").exists():
            return
        keyring, monmap = self.folder / "keyring", self.folder / "monmap"
        keyring.unlink(missing_ok=True)
        for name, caps in _KEYS.items():
            pairs = [part for who, what in zip(caps[::2], caps[1::2], strict=True) for part in ("--cap", who, what)]
            create = [] if keyring.exists() else ["--create-keyring"]
            self._call("ceph-authtool", str(keyring), *create, "--gen-key", "-n", name, *pairs)
        where = f"[v1:{LOOPBACK}:{self.mon_port}]"
        self._call("monmaptool", "--create", "--clobber", "--fsid", str(self.fsid), "--addv", "a", where, str(monmap))
        building = self.folder / "mon.building"
        shutil.rmtree(building, ignore_errors=True)
        made = ["--mkfs", "--monmap", str(monmap), "--keyring", str(keyring), "--mon-data", str(building)]
        self._call("ceph-mon", "-c", self.conf, "-i", "a", *made)
        building.rename(self.folder / "mon")

    def _make_storage(self) -> None:
        if (self.folder / "osd").exists():
            return
        name = str(uuid.uuid5(self.fsid, "osd.0"))
        self._call("ceph", "-c", self.conf, "osd", "new", name)
        self._call("ceph", "-c", self.conf, "auth", "import", "-i", str(self.folder / "keyring"))
        building = self.folder / "osd.building"
        shutil.rmtree(building, ignore_errors=True)
        building.mkdir()
        self._call("ceph-osd", "-c", self.conf, "-i", "0", "--mkfs", "--osd-uuid", name, "--osd-data", str(building))
        building.rename(self.folder / "osd")

    def _make_users(self) -> None:
        """The owner's key and the auditor's, given by the environment: arguments would be seen by everybody."""
        made = self.folder / "users"
        if made.exists():
            return
        self._make_user(s3.OWNER, "s3_access_key", "s3_secret_key")
        self._make_user(s3.AUDITOR, "s3_read_key", "s3_read_secret", "--max-buckets=-1")  # none of its own
        write_atomic(made, b"")

    def _make_user(self, name: str, key: str, secret: str, *more: str) -> None:
        known = json.loads(self._call("radosgw-admin", "-c", self.conf, "user", "list"))
        keys = f"--access-key={self.stack.need(key)} --secret-key={self.stack.need(secret)}"
        verb = "modify" if name in known else "create"  # a start may have been cut short in between
        self._call(
            "radosgw-admin", "-c", self.conf, "user", verb, "--uid", name, "--display-name", name, *more, CEPH_ARGS=keys
        )

    def _up(self) -> str | None:
        try:
            said = self._call("ceph", "--connect-timeout", "5", "-c", self.conf, "osd", "stat", "-f", "json")
        except StorageError as error:
            return error.what
        return None if json.loads(said)["num_up_osds"] else "not joined yet"

    def _call(self, *command: str, **variables: str) -> str:
        return call(command, env=self.stack.environment("ceph-tools", **variables))
