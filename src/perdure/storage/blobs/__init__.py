"""Where large values rest: a folder, an S3 bucket or a PostgreSQL table, by URL. Any process.

Nothing of a backend is loaded unless its kind of URL is opened.
"""

from urllib.parse import urlsplit

from perdure.core.ports import BlobStore
from perdure.errors import BadOption

__all__ = ["open_blobs"]


def open_blobs(url: str) -> BlobStore:
    """Return the store that a URL names; it connects when it is first used.

    - `file:///folder` (absolute), `file:folder` (relative to where the program was started)
    - `s3://bucket/prefix?endpoint=...&region=...`, with the extra `s3`
    - `postgresql://user@host/database?table=...`, with the extra `postgres`

    Each takes `within=SECONDS`: how long the store may take for a value, plus a second for each
    MiB. Runs in clients, workers and commands.

    Raises:
        BadOption: The URL names no such store, or has an unknown part.
        MissingExtra: The package that it needs is not installed.
    """
    scheme = urlsplit(url).scheme
    if scheme == "file":
        from perdure.storage.blobs.local import LocalBlobs  # noqa: PLC0415 - only what is used

        return LocalBlobs.of(url)
    if scheme == "s3":
        from perdure.storage.blobs.s3 import S3Blobs  # noqa: PLC0415

        return S3Blobs.of(url)
    if scheme in ("postgresql", "postgres"):
        from perdure.storage.blobs.postgres import PostgresBlobs  # noqa: PLC0415

        return PostgresBlobs.of(url)
    raise BadOption(
        f"blobs={hide(url)!r}: write file:///folder, s3://bucket/prefix or "
        "postgresql://user@host/database"
    )


def hide(url: str) -> str:
    """Return a URL without what may be secret: the password and the parameters."""
    parts = urlsplit(url)
    place = parts.netloc.rpartition("@")[2]
    return parts._replace(netloc=place, query="", fragment="").geturl()
