"""The plugin that ships with the package, used by a test suite of its own."""

import pytest

pytest_plugins = ["pytester"]

SUITE = """
import pytest

pytestmark = pytest.mark.asyncio(loop_scope="session")


async def test_a_day_passes_at_once(perdure_time_skipping):
    await perdure_time_skipping.sleep(86400)


async def test_the_dev_server_answers(perdure_dev_server):
    client = await perdure_dev_server.client()
    assert client.namespace == "default"
"""


@pytest.mark.timeout(60)
def test_its_fixtures_bring_real_servers(pytester: pytest.Pytester):
    pytester.makepyfile(SUITE)

    result = pytester.runpytest_subprocess("-q", "-p", "no:cacheprovider")

    result.assert_outcomes(passed=2)
