"""A knowledge base over a folder of Markdown or HTML files: SQLite FTS5, held in memory.

Runs on the worker. The index is built at the first search and again when a file changed.
"""

import re
import sqlite3
import threading
from dataclasses import dataclass
from html.parser import HTMLParser
from pathlib import Path

SUFFIXES = frozenset({".md", ".markdown", ".html", ".htm"})

# A query is an OR of words: more of them than this cost time and find nothing new.
_MOST_TERMS = 64
_MOST_CHARACTERS = 20_000
_LONGEST_TERM = 64
_TITLE_WEIGHT = 4.0

STOP_WORDS = frozenset(
    """
    a about after again all also am an and any are as at be because been before being but by can
    cannot could did do does doing don down for from get got had has have having he hello hi her
    here him his how i if in into is isn it its just know like ll long many me more most much my
    no nor not now of off on once only or other our out over own please re s same she should so
    some still such t take takes tell than thank thanks that the their them then there these they
    this those through to too under until up us ve very want was we were what when where which
    while who whom why will with would you your yours
    """.split()  # noqa: SIM905
)

Fingerprint = tuple[tuple[str, int, int], ...]


@dataclass(frozen=True, kw_only=True)
class Article:
    """One search result, best first; `text` is the article up to the cap."""

    id: str
    title: str
    score: float
    snippet: str
    text: str


class KnowledgeBase:
    """Search a folder. Safe to call from several threads; any text is a safe query."""

    def __init__(self, folder: Path | str, *, cap: int = 4000) -> None:
        self._folder = Path(folder)
        self._cap = cap
        self._lock = threading.Lock()
        self._fingerprint: Fingerprint = ()
        self._index: sqlite3.Connection | None = None

    def search(self, query: str, *, limit: int = 4) -> list[Article]:
        """Return the articles that share the most telling words with the query.

        A query without a single such word finds nothing. A missing or empty folder raises
        ValueError: an agent without its help centre should fail, not improvise.
        """
        words = terms(query)[:_MOST_TERMS]
        with self._lock:
            index = self._fresh_index()
            if not words:
                return []
            rows = index.execute(
                "SELECT id, title, -bm25(articles, ?, 1.0) AS score, "
                "snippet(articles, 1, '', '', ' … ', 40), substr(text, 1, ?) "
                "FROM articles WHERE articles MATCH ? ORDER BY score DESC, id LIMIT ?",
                (_TITLE_WEIGHT, self._cap, " OR ".join(f'"{word}"' for word in words), limit),
            ).fetchall()
        return [
            Article(id=key, title=title, score=round(score, 4), snippet=snippet, text=text)
            for key, title, score, snippet, text in rows
        ]

    def close(self) -> None:
        """Free the index; a later search builds it anew."""
        with self._lock:
            if self._index is not None:
                self._index.close()
            self._index, self._fingerprint = None, ()

    def _fresh_index(self) -> sqlite3.Connection:
        files, fingerprint = self._scan()
        if self._index is not None and fingerprint == self._fingerprint:
            return self._index
        if self._index is not None:
            self._index.close()
        self._index = _build(self._folder, files)
        self._fingerprint = fingerprint
        return self._index

    def _scan(self) -> tuple[list[Path], Fingerprint]:
        files = sorted(
            path
            for path in self._folder.rglob("*")
            if path.suffix.lower() in SUFFIXES and not path.name.startswith(".") and path.is_file()
        )
        if not files:
            msg = (
                f"The knowledge base folder {str(self._folder)!r} holds no articles. "
                "Point SUPPORT_KB at a folder with Markdown or HTML files."
            )
            raise ValueError(msg)
        stats = [(path, path.stat()) for path in files]
        return files, tuple((str(path), stat.st_mtime_ns, stat.st_size) for path, stat in stats)


def terms(text: str) -> list[str]:
    """Return the telling words of a text, in order, each once."""
    words = re.findall(r"\w+", text[:_MOST_CHARACTERS].lower())
    return list(dict.fromkeys(word[:_LONGEST_TERM] for word in words if word not in STOP_WORDS))


def read_markdown(source: str, *, fallback: str) -> tuple[str, str]:
    """Return title and text; the title is the first heading of any level."""
    lines = source.splitlines()
    for number, line in enumerate(lines):
        if heading := re.match(r"#{1,6}\s+(.+?)\s*#*\s*$", line):
            rest = lines[:number] + lines[number + 1 :]
            return heading[1], "\n".join(rest).strip()
    return fallback, source.strip()


def read_html(source: str, *, fallback: str) -> tuple[str, str]:
    """Return title and text; a first-level heading says more than a page's <title>."""
    page = _Page()
    page.feed(source)
    page.close()
    title = page.heading.strip() or page.title.strip() or fallback
    text = "\n".join(line for raw in page.text.splitlines() if (line := " ".join(raw.split())))
    return " ".join(title.split()), text


def _build(folder: Path, files: list[Path]) -> sqlite3.Connection:
    index = sqlite3.connect(":memory:", check_same_thread=False)
    index.execute(
        "CREATE VIRTUAL TABLE articles USING fts5("
        "title, text, id UNINDEXED, tokenize = 'porter unicode61 remove_diacritics 2')"
    )
    seen: set[str] = set()
    for path in files:
        source = path.read_text(encoding="utf-8-sig", errors="replace").replace("\0", "")
        read = read_markdown if path.suffix.lower() in {".md", ".markdown"} else read_html
        title, text = read(source, fallback=path.stem.replace("-", " ").replace("_", " "))
        # Manuals exported to HTML repeat their sections in a page that holds them all.
        if text in seen:
            continue
        seen.add(text)
        key = path.relative_to(folder).with_suffix("").as_posix()
        index.execute("INSERT INTO articles(title, text, id) VALUES (?, ?, ?)", (title, text, key))
    return index


class _Page(HTMLParser):
    """Collect the title, the first h1 and the visible text."""

    _HIDDEN = frozenset({"script", "style", "template", "noscript", "title", "head"})
    _INLINE = frozenset({"a", "abbr", "b", "code", "em", "i", "q", "small", "span", "strong", "u"})

    def __init__(self) -> None:
        super().__init__(convert_charrefs=True)
        self.title = self.heading = self.text = ""
        self._open: list[str] = []
        self._headings = 0

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        del attrs
        if tag in self._HIDDEN or tag == "h1":
            self._open.append(tag)
            self._headings += tag == "h1"
        # Browsers close an unclosed <head> or <title> at <body>; so must we.
        if tag == "body":
            self._open.clear()
        self._break(tag)

    def handle_endtag(self, tag: str) -> None:
        if tag in self._open:
            while self._open and self._open.pop() != tag:
                pass
        self._break(tag)

    def handle_data(self, data: str) -> None:
        here = self._open[-1] if self._open else ""
        if here == "title" and not self.text:
            self.title += data
        elif here == "h1" and self._headings == 1:
            self.heading += data
        elif here not in self._HIDDEN:
            self.text += data

    def _break(self, tag: str) -> None:
        if tag not in self._INLINE and not self._open:
            self.text += "\n"
