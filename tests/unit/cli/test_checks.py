"""What the doctor looks at."""

import pytest

from perdure.cli import checks
from perdure.workflow import privates


def test_the_installed_libraries_are_within_their_ranges():
    assert {check.state for check in checks.check_libraries()} == {"ok"}


def test_a_library_outside_its_range_fails_with_the_command_that_mends_it(monkeypatch):
    monkeypatch.setattr(checks, "requires", lambda _: ["temporalio<1"])
    found = {check.name: check for check in checks.check_libraries()}["temporalio"]
    assert (found.state, found.mend) == ("failed", "pip install 'temporalio<1'")


def test_a_library_that_is_gone_fails(monkeypatch):
    monkeypatch.setattr(checks, "_LIBRARIES", ("no-such-library",))
    assert checks.check_libraries()[0].state == "failed"


def test_a_private_name_that_is_gone_fails(monkeypatch):
    monkeypatch.setattr(privates, "PRIVATE_NAMES", {"no_such_name": ("uuid",)})
    assert checks.check_private_names().state == "failed"


def test_private_names_are_there():
    assert checks.check_private_names().state == "ok"


@pytest.mark.parametrize(("env", "state"), [({}, "warning"), ({"OPENAI_API_KEY": "k"}, "ok")])
def test_a_key_is_only_asked_for_by_name(env, state):
    found = {check.name: check for check in checks.check_keys(env)}
    assert found["OPENAI_API_KEY"].state == state


def test_a_missing_extra_is_a_warning_only(monkeypatch):
    monkeypatch.setattr(checks, "_EXTRAS", {"x": ("no-such-package", "something")})
    assert [check.state for check in checks.check_extras()] == ["warning"]


def test_warnings_do_not_fail():
    warning = checks.Check(name="x", state="warning", text="")
    assert not checks.failed([warning])


def test_an_old_python_fails(monkeypatch):
    monkeypatch.setattr(checks.platform, "python_version", lambda: "3.10.1")
    assert checks.check_python().state == "failed"
