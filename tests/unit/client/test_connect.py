"""How the server is found; nothing is contacted but a port where nobody listens."""

import pytest

from perdure.client import connect, find_target
from perdure.errors import BadOption, ServerUnavailable
from perdure.testing import free_port


def test_without_any_setting_the_server_is_on_this_machine():
    target = find_target()
    assert (target.address, target.namespace) == ("127.0.0.1:7233", "default")


def test_without_an_environment_none_is_read(monkeypatch):
    monkeypatch.setenv("TEMPORAL_ADDRESS", "elsewhere:1")
    assert find_target().address == "127.0.0.1:7233"


def test_the_variables_of_temporal_are_read():
    env = {"TEMPORAL_ADDRESS": "db:7233", "TEMPORAL_NAMESPACE": "shop"}
    target = find_target(environment=env)
    assert (target.address, target.namespace) == ("db:7233", "shop")


def test_an_argument_wins_over_a_variable():
    target = find_target("mine:1", environment={"TEMPORAL_ADDRESS": "db:7233"})
    assert target.address == "mine:1"


def test_a_profile_of_the_configuration_file_is_read(tmp_path):
    file = tmp_path / "temporal.toml"
    file.write_text('[profile.prod]\naddress = "cloud:7233"\nnamespace = "prod"\n')
    env = {"TEMPORAL_CONFIG_FILE": str(file)}
    assert find_target(profile="prod", environment=env).address == "cloud:7233"


def test_a_profile_that_does_not_exist_is_an_error(tmp_path):
    file = tmp_path / "temporal.toml"
    file.write_text("")
    with pytest.raises(BadOption, match="prod"):
        find_target(profile="prod", environment={"TEMPORAL_CONFIG_FILE": str(file)})


def test_a_profile_without_an_environment_is_an_error():
    with pytest.raises(BadOption, match="environment"):
        find_target(profile="prod")


def test_an_api_key_switches_tls_on():
    assert find_target(environment={"TEMPORAL_API_KEY": "secret"}).tls


def test_an_api_key_is_not_shown():
    assert "secret" not in str(find_target(environment={"TEMPORAL_API_KEY": "secret"}))


@pytest.mark.parametrize("address", ["nohost", ":7233", "host:", "host:port"])
def test_an_address_without_host_or_port_is_an_error(address):
    with pytest.raises(BadOption, match="host:port"):
        find_target(address)


async def test_a_server_that_is_down_is_named_with_the_way_to_start_one():
    port = free_port()
    with pytest.raises(ServerUnavailable, match=rf"127\.0\.0\.1:{port}.*refused.*perdure dev"):
        await connect(f"127.0.0.1:{port}")
