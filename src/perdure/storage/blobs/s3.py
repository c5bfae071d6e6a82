"""Blobs as objects in a bucket of S3 or of a server that speaks its protocol, by the extra `s3`."""

from collections.abc import AsyncIterator, Awaitable
from datetime import UTC, datetime, timedelta
from importlib.util import find_spec
from urllib.parse import unquote, urlsplit

from perdure.core.jsons import Raw, shorten
from perdure.core.ports import BlobInfo
from perdure.errors import BadOption, BlobMissing, MissingExtra, StorageUnavailable
from perdure.storage.blobs.form import (
    HEAD,
    REFRESH,
    WITHIN,
    Deadline,
    check_name,
    head_of,
    is_name,
    open_up,
    read_parameters,
    read_within,
)

_SETTINGS = ("endpoint", "region", "access_key_id", "secret_access_key", "session_token")
_RETRIES = 3
_PAGE = 1000
_COPY = ".touch"
"""Ends the name of the copy by which an object becomes new again."""


class S3Blobs:
    """A bucket, with a prefix.

    Credentials, region and endpoint come from the URL or, better, from where AWS's own programs
    find them: `AWS_ACCESS_KEY_ID`, `AWS_REGION`, `AWS_ENDPOINT_URL`, the role of the machine.
    """

    def __init__(
        self, bucket: str, *, prefix: str = "", within: timedelta = WITHIN, **settings: str
    ) -> None:
        if find_spec("obstore") is None:
            raise MissingExtra("S3 needs 'obstore': pip install 'perdure[s3]'", name="obstore")
        from obstore.store import S3Store  # noqa: PLC0415 - optional

        self._where = f"s3://{bucket}/{prefix}".rstrip("/")
        self._deadline = Deadline(where=self._where, within=within)
        plain = settings.get("endpoint", "").startswith("http://")
        config: Raw = settings
        self._store: Raw = S3Store(
            bucket,
            prefix=prefix or None,
            config=config,
            client_options={"allow_http": plain, "timeout": timedelta(minutes=10)},
            retry_config={"max_retries": _RETRIES, "retry_timeout": within},
        )

    @classmethod
    def of(cls, url: str) -> "S3Blobs":
        """Open the bucket that a URL names: `s3://bucket/prefix?endpoint=...&region=...`.

        Raises:
            BadOption: It names none.
            MissingExtra: The extra `s3` is not installed.
        """
        parts = urlsplit(url)
        bucket, prefix = parts.netloc, unquote(parts.path).strip("/")
        if not bucket or "@" in bucket or ":" in bucket or ".." in prefix or parts.fragment:
            raise BadOption("blobs: write s3://bucket/prefix?endpoint=...&region=...")
        found = read_parameters(url, (*_SETTINGS, "within"))
        within = read_within(found)
        settings = {key: value for key, value in found.items() if key != "within"}
        return cls(bucket, prefix=prefix, within=within, **settings)

    async def put(self, name: str, data: bytes) -> None:
        """Store a value; S3 shows an object when it is whole.

        Raises:
            StorageUnavailable: S3 does not answer or does not let us write.
        """
        key = check_name(name)
        stored = head_of(name, data) + data
        try:
            await self._call(self._store.put_async(key, stored), size=len(data))
        except FileNotFoundError as error:
            raise self._explain(str(error)) from error

    async def get(self, name: str) -> bytes:
        """Read a value and check it.

        Raises:
            BlobMissing: There is no such object.
            BlobBroken: It is cut off or changed.
            StorageUnavailable: S3 does not answer or does not let us read.
        """
        key = check_name(name)
        try:
            answer = await self._call(self._store.get_async(key))
            stored = await self._call(answer.bytes_async(), size=answer.meta["size"])
        except FileNotFoundError as error:
            raise BlobMissing(
                f"blob {name} is not in {self._where}; give every worker and client the same "
                "bucket and prefix, or restore the blob from a copy, and the run goes on"
            ) from error
        return open_up(name, bytes(stored), where=self._where)

    async def has(self, name: str) -> bool:
        """Whether the object is there; if so, and it is not new, it is made new by a copy."""
        key = check_name(name)
        try:
            found = await self._call(self._store.head_async(key))
            if datetime.now(UTC) - found["last_modified"] > REFRESH:
                # S3 refuses to copy an object onto itself.
                await self._call(self._store.copy_async(key, key + _COPY))
                await self._call(self._store.copy_async(key + _COPY, key))
                await self._call(self._store.delete_async(key + _COPY))
        except FileNotFoundError:
            return False
        return True

    async def delete(self, name: str, *, unless_since: datetime | None = None) -> bool:
        """Remove an object, if it is there and was not asked for since then."""
        key = check_name(name)
        try:
            found = await self._call(self._store.head_async(key))
            if unless_since is not None and found["last_modified"] >= unless_since:
                return False
            await self._call(self._store.delete_async(key))
        except FileNotFoundError:
            return False
        return True

    async def list(self) -> AsyncIterator[BlobInfo]:
        """Name every blob under the prefix."""
        pages: Raw = aiter(self._store.list(chunk_size=_PAGE))
        while True:
            try:
                page = await self._call(anext(pages, None))
            except FileNotFoundError as error:
                raise self._explain(str(error)) from error
            if page is None:
                return
            for found in page:
                if is_name(found["path"]):
                    size = max(found["size"] - HEAD, 0)
                    changed = found["last_modified"]
                    yield BlobInfo(name=found["path"], size=size, changed=changed)

    async def close(self) -> None:
        """Nothing is kept open."""

    async def _call(self, work: Awaitable[Raw], *, size: int = 0) -> Raw:
        from obstore.exceptions import BaseError  # noqa: PLC0415 - optional

        try:
            return await self._deadline.wait(work, size=size)
        except FileNotFoundError as error:
            if "NoSuchBucket" in str(error):
                raise self._explain(str(error)) from error
            raise
        except (BaseError, OSError) as error:
            raise self._explain(str(error)) from error

    def _explain(self, said: str) -> StorageUnavailable:
        # After these words follows what the client looks like inside.
        text = shorten(said.partition("Debug source:")[0], 300)
        if "NoSuchBucket" in said:
            mend = "create the bucket, or name another"
        elif any(word in said for word in ("403", "401", "Permission", "Unauthenticated")):
            mend = "check the credentials and what they may do: read, write, delete, list"
        else:
            mend = "see that the server is up and that endpoint and region are right"
        return StorageUnavailable(f"the blob store {self._where} cannot be used: {text}; {mend}")
