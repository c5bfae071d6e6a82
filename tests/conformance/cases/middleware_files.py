"""The middleware of LangChain that touches files and processes: on Perdure the worker's."""

from pathlib import Path

from langchain.agents import create_agent
from langchain.agents.middleware import FilesystemFileSearchMiddleware, ShellToolMiddleware

from conformance.case import Kit, Plan, case
from conformance.kits import calls

HELLO = {"messages": [{"role": "user", "content": "hello"}]}
FOLDER = str(Path(__file__).parent)


@case("mw_shell", area="Middleware", feature="ShellToolMiddleware: one shell for the run")
def shell(kit: Kit) -> Plan:
    first = calls("shell", {"command": "cd /usr; export COLOUR=red"})
    second = calls("shell", {"command": "echo $COLOUR in $PWD"}, turn=2)
    graph = create_agent(kit.model(first, second, "done"), [], middleware=[ShellToolMiddleware()])
    return Plan(graph=graph, input=HELLO, activities={"model": 3, "tool": 2})


@case("mw_shell_startup", area="Middleware", feature="ShellToolMiddleware with startup commands")
def shell_startup(kit: Kit) -> Plan:
    middleware = ShellToolMiddleware(startup_commands=["export COLOUR=blue"])
    model = kit.model(calls("shell", {"command": "echo $COLOUR"}), "done")
    graph = create_agent(model, [], middleware=[middleware])
    return Plan(graph=graph, input=HELLO, activities={"model": 2, "tool": 1})


@case("mw_file_search", area="Middleware", feature="FilesystemFileSearchMiddleware: glob and grep")
def file_search(kit: Kit) -> Plan:
    first = calls("glob_search", {"pattern": "middleware_f*.py"})
    second = calls("grep_search", {"pattern": "def file_search"}, turn=2)
    middleware = FilesystemFileSearchMiddleware(root_path=FOLDER, use_ripgrep=False)
    graph = create_agent(kit.model(first, second, "done"), [], middleware=[middleware])
    return Plan(graph=graph, input=HELLO, activities={"model": 3, "tool": 2})
