"""Ports: free ones are taken, foreign addresses refused."""

import socket

import pytest

from infra.stack import ports
from tmu.errors import ConfigError


@pytest.fixture
def taken() -> int:
    with socket.create_server((ports.LOOPBACK, 0)) as server:
        yield server.getsockname()[1]


def test_a_port_in_use_is_not_free(taken: int):
    assert not ports.is_free(taken)


def test_the_next_free_one_is_taken_instead(taken: int):
    chosen = ports.choose(taken)
    assert taken not in chosen.values()
    assert len(set(chosen.values())) == len(ports.DEFAULTS)
    assert all(ports.is_free(port) for port in chosen.values())


def test_without_a_wish_the_documented_defaults_are_tried_first():
    chosen = ports.choose()
    assert {name for name, port in ports.DEFAULTS.items() if ports.is_free(port)} == {
        name for name, port in ports.DEFAULTS.items() if chosen[name] == port
    }


@pytest.mark.parametrize("address", ["http://mlflow.example.org:5000", "http://10.0.0.1:5000", "http://127.0.0.1"])
def test_an_address_that_we_cannot_serve_is_refused(address: str):
    with pytest.raises(ConfigError, match="mlflow_uri"):
        ports.port_of(address, "mlflow_uri")


def test_an_address_of_a_database_has_its_port():
    assert ports.port_of("postgresql+psycopg://tmu:x@127.0.0.1:5433/tmu", "ledger") == 5433
