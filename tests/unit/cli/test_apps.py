"""Finding the agents of an app."""

import sys

import pytest

from perdure.errors import AppFailed
from perdure.worker.apps import load_app

PLAIN = "import perdure\nagents = perdure.Agents()\nagents.add('one', None)\n"


@pytest.fixture(autouse=True)
def clean_imports(monkeypatch, tmp_path):
    """Let no app of one test be found by another."""
    before = set(sys.modules)
    monkeypatch.setattr(sys, "path", list(sys.path))
    monkeypatch.chdir(tmp_path)
    yield
    for name in set(sys.modules) - before:
        if str(tmp_path) in str(getattr(sys.modules[name], "__file__", "")):
            del sys.modules[name]


@pytest.fixture
def write(tmp_path):
    def keep(name, text=PLAIN):
        file = tmp_path / name
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(text)
        return str(file)

    return keep


def test_a_file_is_an_app(write):
    assert load_app(write("my_app_1.py")).names == ["one"]


def test_a_module_is_an_app(write):
    write("my_app_2.py")
    assert load_app("my_app_2").names == ["one"]


def test_an_attribute_of_a_module_is_an_app(write):
    write("my_app_3.py", PLAIN.replace("agents", "mine"))
    assert load_app("my_app_3:mine").names == ["one"]


def test_an_attribute_of_a_file_is_an_app(write):
    file = write("my_app_4.py", PLAIN + "other = perdure.Agents()\n")
    assert load_app(f"{file}:other").names == []


def test_a_folder_with_an_app_is_one(write, tmp_path):
    write("shop_1/app.py")
    assert load_app(str(tmp_path / "shop_1")).names == ["one"]


def test_relative_imports_work_in_a_folder(write, tmp_path):
    write("shop_2/parts.py", "NAME = 'two'\n")
    write("shop_2/app.py", "from .parts import NAME\n" + PLAIN.replace("'one'", "NAME"))
    assert load_app(str(tmp_path / "shop_2")).names == ["two"]


def test_relative_imports_work_in_a_file_of_a_package(write):
    write("shop_3/__init__.py", "")
    write("shop_3/parts.py", "NAME = 'three'\n")
    file = write("shop_3/app.py", "from .parts import NAME\n" + PLAIN.replace("'one'", "NAME"))
    assert load_app(file).names == ["three"]


def test_a_folder_may_be_named_with_a_dash(write, tmp_path):
    write("my-shop/app.py")
    assert load_app(str(tmp_path / "my-shop")).names == ["one"]


def test_a_name_with_a_dot_is_an_error(write, tmp_path):
    write("shop.v2/app.py")
    with pytest.raises(AppFailed, match="has a dot in its name"):
        load_app(str(tmp_path / "shop.v2"))


def test_the_only_agents_are_found_under_any_name(write):
    assert load_app(write("my_app_5.py", PLAIN.replace("agents", "mine"))).names == ["one"]


def test_agents_wins_over_other_names(write):
    file = write("my_app_6.py", "import perdure\nzero = perdure.Agents()\n" + PLAIN)
    assert load_app(file).names == ["one"]


def test_several_agents_are_an_error_that_names_them(write):
    text = "import perdure\na = perdure.Agents()\nb = perdure.Agents()\n"
    with pytest.raises(AppFailed, match=r"several.*a, b"):
        load_app(write("my_app_7.py", text))


def test_no_agents_are_an_error_that_shows_how_to_write_them(write):
    with pytest.raises(AppFailed, match=r"perdure\.Agents\(\)"):
        load_app(write("my_app_8.py", "x = 1\n"))


def test_an_attribute_of_another_type_is_an_error(write):
    write("my_app_9.py", "agents = 3\n")
    with pytest.raises(AppFailed, match=r"is a int, not a perdure\.Agents"):
        load_app("my_app_9:agents")


@pytest.mark.parametrize("spec", ["/no/such/app.py", "no_such_module_x", "no/such", "", "a b"])
def test_an_app_that_is_not_there_is_named(spec):
    with pytest.raises(AppFailed, match=r"no file|no app|not found"):
        load_app(spec)


def test_a_folder_without_an_app_is_an_error(tmp_path):
    with pytest.raises(AppFailed, match=r"app\.py"):
        load_app(str(tmp_path))


def test_an_error_on_import_is_shown_with_its_line(write):
    file = write("my_app_10.py", "import perdure\n\nvalue = {}['missing']\n")
    with pytest.raises(AppFailed, match=r"(?s)KeyError: 'missing'.*my_app_10\.py\", line 3"):
        load_app(file)


def test_a_missing_library_of_an_app_is_shown_with_its_line(write):
    file = write("my_app_11.py", "import no_such_library_y\n")
    with pytest.raises(AppFailed, match=r"(?s)no_such_library_y.*line 1"):
        load_app(file)


def test_a_syntax_error_is_shown_with_its_line(write):
    with pytest.raises(AppFailed, match=r"(?s)my_app_12\.py\", line 2.*SyntaxError"):
        load_app(write("my_app_12.py", "x = 1\ndef (:\n"))


def test_an_app_that_exits_on_import_is_an_error(write):
    with pytest.raises(AppFailed, match="SystemExit: 3"):
        load_app(write("my_app_13.py", "raise SystemExit(3)\n"))


def test_an_app_named_like_a_loaded_module_is_an_error(write):
    with pytest.raises(AppFailed, match="another name"):
        load_app(write("json.py"))
