"""Virtual environments for peers whose packages clash with the project's; made with uv."""

import shutil
import subprocess
import sys
from pathlib import Path

from benchmarks.peers.base import NotAvailable

ROOT = Path(__file__).parents[1]
CACHE = ROOT / ".perdure-bench"


def interpreter(requirements: str | None) -> str:
    """Return the Python that has the packages, installing them the first time.

    Raises:
        NotAvailable: uv is missing, or the packages cannot be installed.
    """
    if requirements is None:
        return sys.executable
    wanted = Path(__file__).parent / "requirements" / f"{requirements}.txt"
    folder = CACHE / requirements
    python, done = folder / "bin" / "python", folder / "installed.txt"
    if done.is_file() and done.read_text("utf-8") == wanted.read_text("utf-8"):
        return str(python)
    beside = Path(sys.executable).parent / "uv"
    uv = str(beside) if beside.is_file() else shutil.which("uv")
    if uv is None:
        raise NotAvailable("uv is not installed, and this peer needs an environment of its own")
    print(f"installing {wanted.name} into {folder.relative_to(ROOT)}", file=sys.stderr)
    for command in (
        [uv, "venv", "-q", "--clear", "--python", sys.executable, str(folder)],
        [uv, "pip", "install", "-q", "--python", str(python), "-r", str(wanted)],
    ):
        made = subprocess.run(command, capture_output=True, text=True, check=False)
        if made.returncode != 0:
            raise NotAvailable(f"{wanted.name} cannot be installed: {made.stderr.strip()[-400:]}")
    shutil.copyfile(wanted, done)
    return str(python)
