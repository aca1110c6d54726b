"""PostgreSQL behind the ledger, Prefect and MLflow: one small server, one role and one database each."""

import shutil
import signal
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

from infra.stack import health
from infra.stack.place import Stack
from infra.stack.ports import LOOPBACK, port_of
from infra.stack.programs import call, postgres
from infra.stack.server import Server
from infra.stack.users import own, postgres_user

if TYPE_CHECKING:
    from psycopg import Connection

_DATABASES = ("ledger", "prefect_database", "mlflow_database")  # settings with the address of a database
_SMALL = {  # a few dozen connections and some hundred short transactions a second, in as little memory as that takes
    "shared_buffers": "48MB",
    "max_connections": "100",
    "work_mem": "2MB",
    "maintenance_work_mem": "32MB",
    "max_wal_size": "64MB",
    "max_worker_processes": "2",
    "max_parallel_workers": "0",
    "autovacuum_max_workers": "1",
    "jit": "off",
    "log_min_error_statement": "panic",  # a statement may hold keys of people
    "log_parameter_max_length_on_error": "0",
    "timezone": "UTC",
    "log_timezone": "UTC",
}


def server(stack: Stack) -> Server:
    """PostgreSQL on the loopback, with passwords (scram-sha-256) and no socket file."""
    port = port_of(stack.need("ledger"), "ledger")
    data = Path(stack.need("postgres_data"))
    options = {"port": str(port), "listen_addresses": LOOPBACK, "unix_socket_directories": "", **_SMALL}
    settings = [part for name, value in options.items() for part in ("-c", f"{name}={value}")]
    return Server(
        name="postgres",
        label="PostgreSQL",
        command=[str(postgres(data) / "postgres"), "-D", str(data), *settings],
        environment=stack.variables("postgres"),
        user=postgres_user(),
        probe=health.sql(**_superuser(stack, port)),
        before=lambda: _make_cluster(stack, data),
        after=lambda: _make_databases(stack, port),
        stop_signal=signal.SIGINT,  # a fast shutdown: open transactions are rolled back
        stop_seconds=30,
        port=port,
        page=f"{LOOPBACK}:{port}",
    )


_SEGMENT = "1"  # MiB: a deletion overwrites every segment of the write-ahead log, twice, and the search reads them
_REWRITING = ("pg_switch_wal()", "pg_ls_waldir()")


def _superuser(stack: Stack, port: int) -> dict[str, str | int]:
    password = stack.need("postgres_password")
    return {"host": LOOPBACK, "port": port, "user": "postgres", "password": password, "dbname": "postgres"}


def _make_cluster(stack: Stack, data: Path) -> None:
    """Make the data folder where there is none: built beside it and moved there whole."""
    if (data / "PG_VERSION").exists():
        return
    make_passable(data.parent)
    building = data.with_name(data.name + ".building")
    shutil.rmtree(building, ignore_errors=True)
    building.mkdir(mode=0o700)
    own(building)
    with tempfile.NamedTemporaryFile("w", dir=data.parent) as password:  # made with mode 600
        password.write(stack.need("postgres_password"))
        password.flush()
        own(Path(password.name))
        options = ["--auth=scram-sha-256", "--username=postgres", "--encoding=UTF8", "--locale=C.UTF-8"]
        options += [f"--wal-segsize={_SEGMENT}"]
        initdb = [str(postgres(data) / "initdb"), "--pwfile", password.name, "--data-checksums", *options]
        call([*initdb, "-D", str(building)], user=postgres_user(), env=stack.environment("initdb"))
    building.rename(data)


def make_passable(folder: Path) -> None:
    """Make a folder, and those above it that are missing, which PostgreSQL's own user may pass, whatever the umask."""
    if not folder.exists():
        make_passable(folder.parent)
        folder.mkdir()
        folder.chmod(0o711)


def _make_databases(stack: Stack, port: int) -> None:
    """A role and a database for each address in the settings, with the password that the settings hold."""
    import psycopg
    from psycopg import sql

    with psycopg.connect(**_superuser(stack, port), autocommit=True) as database:
        known = {row[0] for row in database.execute("SELECT datname FROM pg_database")}
        roles = {row[0] for row in database.execute("SELECT rolname FROM pg_roles")}
        for setting in _DATABASES:
            address = urlsplit(stack.need(setting))
            name, role = address.path.strip("/"), address.username or ""
            names = {"role": sql.Identifier(role), "name": sql.Identifier(name)}
            _make_role(database, role, address.password or "", known=role in roles)
            if name not in known:
                database.execute(sql.SQL("CREATE DATABASE {name} OWNER {role}").format(**names))
                database.execute(sql.SQL("REVOKE CONNECT ON DATABASE {name} FROM PUBLIC").format(**names))
        _let_read(stack, database, roles)
        _let_rewrite(stack, port)


def _make_role(database: "Connection", role: str, password: str, *, known: bool) -> None:
    """A role with a password, of which the server sees the hash."""
    from psycopg import sql

    secret = database.pgconn.encrypt_password(password.encode(), role.encode(), b"scram-sha-256").decode()
    verb = sql.SQL("ALTER ROLE {} LOGIN PASSWORD {}" if known else "CREATE ROLE {} LOGIN PASSWORD {}")
    database.execute(verb.format(sql.Identifier(role), sql.Literal(secret)))


def _let_read(stack: Stack, database: "Connection", roles: set[str]) -> None:
    """The auditor's role: it reads the ledger, and writes nowhere."""
    from psycopg import sql

    mine, address = urlsplit(stack.need("ledger")), urlsplit(stack.settings.search_ledger or "")
    if (address.hostname, address.port) != (mine.hostname, mine.port) or address.username in (None, mine.username):
        return  # somebody set another one
    role = address.username or ""
    _make_role(database, role, address.password or "", known=role in roles)
    names = {"role": sql.Identifier(role), "name": sql.Identifier(mine.path.strip("/"))}
    database.execute(sql.SQL("GRANT CONNECT ON DATABASE {name} TO {role}").format(**names))
    database.execute(sql.SQL("GRANT pg_read_all_data TO {role}").format(**names))


def _let_rewrite(stack: Stack, port: int) -> None:
    """Let the ledger's role overwrite the write-ahead log, which holds keys that were destroyed in the tables.

    Servers before version 15 know no role for it: there it stays with the superuser, and certificates say so.
    """
    import psycopg
    from psycopg import sql

    address = urlsplit(stack.need("ledger"))
    role, name = sql.Identifier(address.username or ""), address.path.strip("/")
    with psycopg.connect(**_superuser(stack, port) | {"dbname": name}, autocommit=True) as database:
        if database.info.server_version < 150000:
            return
        database.execute(sql.SQL("GRANT pg_checkpoint TO {}").format(role))
        for function in _REWRITING:
            database.execute(sql.SQL("GRANT EXECUTE ON FUNCTION {} TO {}").format(sql.SQL(function), role))
