"""supervisord's configuration: read back by supervisord itself; secrets in variables, never in arguments."""

import dataclasses
import os
import stat
import time
from pathlib import Path

import pytest
from pydantic import SecretStr
from supervisor.options import ServerOptions

from infra.stack import plan, programs
from infra.stack.place import Stack
from infra.stack.server import Server, tiers
from infra.stack.supervisor import WATCH, Supervisor, configuration
from tmu.errors import ConfigError, StorageError


@pytest.fixture
def servers(stack: Stack, monkeypatch: pytest.MonkeyPatch) -> list[Server]:
    """The plan on a machine with PostgreSQL in some folder."""
    monkeypatch.setattr("infra.stack.postgres.postgres", lambda data: Path("/opt/pg"))
    monkeypatch.setattr("infra.stack.postgres.postgres_user", lambda: None)
    return plan.servers(stack)


def _read_back(stack: Stack, text: str) -> dict[str, object]:
    """The programs that supervisord reads from a configuration, by name."""
    path = stack.state("supervisord.conf")
    for folder in (stack.state(), stack.state("logs")):
        folder.mkdir(exist_ok=True)
    path.write_text(text)
    options = ServerOptions()
    options.realize(["-c", str(path)])
    return {program.name: program for group in options.process_group_configs for program in group.process_configs}


def test_supervisord_reads_every_server_as_it_was_meant(stack: Stack, servers: list[Server]):
    programs = _read_back(stack, configuration(stack, servers))
    for server in servers:
        program = programs[server.name]
        assert program.autorestart
        assert not program.autostart
        assert program.environment == dict(server.environment)
        assert program.stopsignal == server.stop_signal
        assert program.stopwaitsecs == server.stop_seconds
    assert WATCH in programs
    assert all(f"{server.name}={server.watched}" in programs[WATCH].command for server in servers if server.watched)


def test_what_the_servers_write_is_their_owners_alone(stack: Stack, servers: list[Server]):
    """supervisord sets the umask of all that it starts: to 022 where its configuration names none."""
    path = stack.state("supervisord.conf")
    _read_back(stack, configuration(stack, servers))
    options = ServerOptions()
    options.realize(["-c", str(path)])
    assert options.umask == 0o077
    own = [program.umask for group in options.process_group_configs for program in group.process_configs]
    assert set(own) == {None}


def test_a_child_of_supervisord_writes_files_that_nobody_else_can_read(stack: Stack):
    written = stack.home / "written"
    child = Server("child", ["touch", str(written)], stack.variables("child"), lambda: None)
    supervisor = Supervisor(stack)
    before = os.umask(0o022)
    try:
        supervisor.start([child])
        supervisor.start_process("child")
        deadline = time.monotonic() + 30
        while not written.exists() and time.monotonic() < deadline:
            time.sleep(0.05)
        for each in (written, stack.state("logs", "supervisord.log")):
            assert stat.S_IMODE(each.stat().st_mode) == 0o600
    finally:
        os.umask(before)
        if supervisor.running():
            supervisor.shutdown()


def test_a_percent_sign_survives(stack: Stack, servers: list[Server]):
    odd = dataclasses.replace(servers[0], environment={"A": "50%(x)s 100%"})
    assert _read_back(stack, configuration(stack, [odd]))[odd.name].environment == {"A": "50%(x)s 100%"}


@pytest.mark.parametrize("value", ['a"b', "a\nb", "a ;b"])
def test_a_value_that_its_file_cannot_hold_is_refused(stack: Stack, servers: list[Server], value: str):
    with pytest.raises(ConfigError, match="plainer path"):
        configuration(stack, [dataclasses.replace(servers[0], environment={"A": value})])


def test_no_secret_is_an_argument(stack: Stack, servers: list[Server]):
    values = [getattr(stack.settings, name) for name in type(stack.settings).model_fields]
    secrets = [value.get_secret_value() for value in values if isinstance(value, SecretStr)]
    assert len(secrets) == 7
    passwords = [secret.split(":")[2].split("@")[0] for secret in secrets if "://" in secret]
    passwords += [secret.split(":")[1] for secret in secrets if secret.startswith("tmu:")]
    assert len(passwords) == 4
    secrets += [stack.settings.ledger, *passwords]
    arguments = " ".join(part for server in servers for part in server.command)
    assert [secret for secret in secrets if secret in arguments] == []


def test_it_listens_on_its_socket_alone(stack: Stack, servers: list[Server]):
    text = configuration(stack, servers)
    assert "[inet_http_server]" not in text
    assert f"file={stack.socket}" in text


def test_the_socket_of_a_long_path_is_short_enough_for_the_system(stack: Stack):
    deep = dataclasses.replace(stack, home=Path("/" + "x" * 200))
    assert len(str(deep.socket)) < 90
    assert deep.socket != dataclasses.replace(stack, home=Path("/" + "y" * 200)).socket


def test_stray_variables_of_the_shell_do_not_reach_the_servers(stack: Stack, monkeypatch: pytest.MonkeyPatch):
    for name in ("AWS_PROFILE", "PREFECT_API_URL", "MLFLOW_TRACKING_URI", "PGPASSWORD"):
        monkeypatch.setenv(name, "stray")
    monkeypatch.setenv("HTTP_PROXY", "http://proxy:1")
    environment = stack.environment("api")
    assert "stray" not in environment.values()
    assert environment["TMU_HOME"] == str(stack.home)
    assert "127.0.0.1" in environment["NO_PROXY"]  # or our own calls would leave by that proxy


def test_each_server_stops_before_those_that_it_needs(servers: list[Server]):
    order = [server.name for tier in tiers(servers) for server in tier]
    assert sorted(order) == sorted(server.name for server in servers)
    for server in servers:
        assert all(order.index(server.name) < order.index(needed) for needed in server.needs)
    assert order[0].startswith("worker")
    assert order[-1] == "postgres" or "postgres" in [server.name for server in tiers(servers)[-1]]


def test_a_socket_that_nobody_listens_on_means_not_running(stack: Stack):
    stack.socket.parent.mkdir()
    stack.socket.touch()
    assert not Supervisor(stack).running()
    assert Supervisor(stack).states() == {}


def test_nobody_is_told_to_remove_the_folder_of_another_user(stack: Stack, monkeypatch: pytest.MonkeyPatch):
    owner = stack.home.stat().st_uid
    monkeypatch.setattr("infra.stack.supervisor.os.geteuid", lambda: owner + 1)
    with pytest.raises(ConfigError, match="belongs to somebody else") as refused:
        Supervisor(stack).start([])
    assert "Remove" not in refused.value.hint
    assert "databases" in refused.value.hint


def test_without_postgresql_it_says_what_to_install(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(programs, "_POSTGRES", tmp_path)
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(ConfigError, match="PostgreSQL is not installed") as refused:
        programs.postgres(tmp_path)
    assert "apt-get install postgresql" in refused.value.hint


def test_data_of_another_postgresql_are_not_opened(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    programs_of_17 = tmp_path / "17" / "bin"
    programs_of_17.mkdir(parents=True)
    (programs_of_17 / "postgres").touch()
    monkeypatch.setattr(programs, "_POSTGRES", tmp_path)
    data = tmp_path / "data"
    data.mkdir()
    assert programs.postgres(data) == programs_of_17
    (data / "PG_VERSION").write_text("15\n")
    with pytest.raises(ConfigError, match="PostgreSQL 15"):
        programs.postgres(data)


def test_the_reason_of_a_program_that_fails_is_told():
    with pytest.raises(StorageError, match="No such file"):
        programs.call(["ls", "/no/such/folder"], env={"PATH": "/bin:/usr/bin", "LC_ALL": "C"})


def test_another_shell_makes_no_other_configuration(
    stack: Stack, servers: list[Server], monkeypatch: pytest.MonkeyPatch
):
    """`up` compares it to see whether settings changed since the start."""
    before = configuration(stack, servers)
    monkeypatch.setenv("PATH", "/elsewhere")
    monkeypatch.setenv("LANG", "xx")
    assert configuration(stack, plan.servers(stack)) == before
