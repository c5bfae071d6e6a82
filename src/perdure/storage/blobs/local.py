"""Blobs as files in a folder, for one machine or a file system that all of them share."""

import asyncio
import errno
import os
from collections.abc import AsyncIterator, Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta
from itertools import islice
from pathlib import Path
from typing import TypeVar
from urllib.parse import unquote, urlsplit
from uuid import uuid4

from perdure.core.ports import BlobInfo
from perdure.errors import BadOption, BlobMissing, StorageUnavailable
from perdure.storage.blobs.form import (
    HEAD,
    WITHIN,
    Deadline,
    check_name,
    head_of,
    is_name,
    length_in,
    open_up,
    read_parameters,
    read_within,
)

T = TypeVar("T")
_PARTS = ".parts"
"""The folder of files that are still being written; a rename takes them to their place."""
_LEFT_BEHIND = timedelta(days=1)
_THREADS = 8
_PAGE = 500
_MENDS = {
    errno.ENOSPC: "free some of the disk (`perdure gc` removes what no run refers to)",
    errno.EDQUOT: "free some of the quota (`perdure gc` removes what no run refers to)",
    errno.EFBIG: "allow larger files (ulimit -f)",
    errno.EROFS: "mount it for writing",
    errno.EACCES: "let the process read and write it",
    errno.EPERM: "let the process read and write it",
    errno.ENOTDIR: "name a folder",
    errno.EEXIST: "name a folder",
}


class LocalBlobs:
    """A folder, with a subfolder for each beginning of a name.

    A file is written beside its place, flushed to the disk and renamed, so that a crash leaves
    the whole blob or none. Files are read and written in threads of its own.
    """

    def __init__(self, folder: Path, *, within: timedelta = WITHIN) -> None:
        self._folder = folder
        self._deadline = Deadline(where=str(folder), within=within)
        self._threads = ThreadPoolExecutor(_THREADS, thread_name_prefix="perdure-blobs")
        self._swept = False

    @classmethod
    def of(cls, url: str) -> "LocalBlobs":
        """Open the folder that a URL names: `file:///absolute` or `file:relative`.

        Raises:
            BadOption: It names none.
        """
        parts = urlsplit(url)
        folder = unquote(parts.path)
        if parts.netloc or not folder or parts.fragment:
            raise BadOption(
                f"blobs={url!r}: write file:///folder (absolute) or file:folder (relative)"
            )
        return cls(Path(folder), within=read_within(read_parameters(url, ("within",))))

    async def put(self, name: str, data: bytes) -> None:
        """Store a value, atomically.

        Raises:
            StorageUnavailable: The disk is full, or cannot be written to.
        """
        place = self._place(name)
        await self._in_thread(lambda: self._write(place, name, data), size=len(data))

    async def get(self, name: str) -> bytes:
        """Read a value and check it.

        Raises:
            BlobMissing: There is no such file.
            BlobBroken: It is cut off or changed.
            StorageUnavailable: The folder cannot be read.
        """
        place = self._place(name)
        size = await self._in_thread(lambda: self._size(place, name))
        stored = await self._in_thread(lambda: self._read(place, name), size=size)
        return open_up(name, stored, where=str(self._folder))

    async def has(self, name: str) -> bool:
        """Whether the whole file is there; if so it counts as new."""
        place = self._place(name)
        return await self._in_thread(lambda: _touch(place))

    async def delete(self, name: str, *, unless_since: datetime | None = None) -> bool:
        """Remove a file, if it is there and was not asked for since then."""
        place = self._place(name)
        return await self._in_thread(lambda: _remove(place, unless_since))

    async def list(self) -> AsyncIterator[BlobInfo]:
        """Name every blob; none if the folder does not exist yet."""
        files = self._files()
        while page := await self._in_thread(lambda: tuple(islice(files, _PAGE))):
            for info in page:
                yield info

    async def close(self) -> None:
        """Let the threads end."""
        self._threads.shutdown(wait=False, cancel_futures=True)

    def _place(self, name: str) -> Path:
        return self._folder / check_name(name)[:2] / name

    def _write(self, place: Path, name: str, data: bytes) -> None:
        parts = self._folder / _PARTS
        parts.mkdir(parents=True, exist_ok=True)
        self._sweep(parts)
        if not place.parent.is_dir():
            place.parent.mkdir(exist_ok=True)
            _flush_folder(self._folder)
        part = parts / f"{name[:40]}.{uuid4().hex}"
        try:
            with part.open("xb") as file:
                file.write(head_of(name, data))
                file.write(data)
                file.flush()
                os.fsync(file.fileno())
            part.replace(place)
        except BaseException:
            part.unlink(missing_ok=True)
            raise
        _flush_folder(place.parent)

    def _sweep(self, parts: Path) -> None:
        """Remove once what writers left that were killed long ago."""
        if self._swept:
            return
        self._swept = True
        limit = (datetime.now(UTC) - _LEFT_BEHIND).timestamp()
        for part in parts.iterdir():
            try:
                if part.stat().st_mtime < limit:
                    part.unlink()
            except FileNotFoundError:
                continue  # another process was first

    def _size(self, place: Path, name: str) -> int:
        try:
            return place.stat().st_size
        except FileNotFoundError:
            raise self._missing(name) from None

    def _read(self, place: Path, name: str) -> bytes:
        try:
            return place.read_bytes()
        except FileNotFoundError:
            raise self._missing(name) from None

    def _missing(self, name: str) -> Exception:
        if not self._folder.is_dir():
            return StorageUnavailable(
                f"the blob store {self._folder} is not there; mount the folder, or name the one "
                "that the workers write to"
            )
        return BlobMissing(
            f"blob {name} is not in {self._folder}; give every worker and client the same "
            "folder, or restore the blob from a copy, and the run goes on"
        )

    def _files(self) -> Iterator[BlobInfo]:
        if not self._folder.is_dir():
            return
        for group in self._folder.iterdir():
            if group.name == _PARTS or not group.is_dir():
                continue
            for file in group.iterdir():
                if info := _info(file):
                    yield info

    async def _in_thread(self, work: Callable[[], T], *, size: int = 0) -> T:
        loop = asyncio.get_running_loop()
        try:
            return await self._deadline.wait(loop.run_in_executor(self._threads, work), size=size)
        except OSError as error:
            raise self._explain(error) from error

    def _explain(self, error: OSError) -> StorageUnavailable:
        mend = _MENDS.get(error.errno or 0, "see that the folder is there and the disk is well")
        said = error.strerror or str(error)
        return StorageUnavailable(f"the blob store {self._folder} cannot be used: {said}; {mend}")


def _touch(place: Path) -> bool:
    try:
        with place.open("rb") as file:
            length = length_in(file.read(HEAD))
            if length is None or length + HEAD != os.fstat(file.fileno()).st_size:
                return False  # cut off: it is to be put again
        os.utime(place)
    except FileNotFoundError:
        return False
    return True


def _remove(place: Path, unless_since: datetime | None) -> bool:
    try:
        if unless_since is not None and place.stat().st_mtime >= unless_since.timestamp():
            return False
        place.unlink()
    except FileNotFoundError:
        return False
    return True


def _info(file: Path) -> BlobInfo | None:
    if not is_name(file.name):
        return None
    try:
        state = file.stat()
    except FileNotFoundError:
        return None  # removed in the meantime
    return BlobInfo(
        name=file.name,
        size=max(state.st_size - HEAD, 0),
        changed=datetime.fromtimestamp(state.st_mtime, UTC),
    )


def _flush_folder(folder: Path) -> None:
    """Make a rename last; where folders cannot be opened (Windows) it lasts by itself."""
    if os.name != "posix":
        return
    handle = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)
