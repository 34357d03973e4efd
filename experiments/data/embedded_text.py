"""The English of Python's own documentation, as every interpreter carries it: nothing to fetch.

It is what `help("LOOPING")` and the like show. Of Python 3.11 it makes 194,635 characters, 103 of them distinct; each
version has its own.
"""

import re
from collections.abc import Iterable
from textwrap import dedent

from experiments.data.texts import Text, of_string

SENTENCES = re.compile(r"[A-Z].*(\n\S.*)*\.")  # from a capital to a full stop, all lines at one margin


def load(unit: str = "characters") -> Text:
    """The prose of all topics, in the order of their names.

    Args:
      unit: see `texts.of_string`.
    Returns:
      Text.
    Raises:
      ValueError: no such unit.
    """
    from pydoc_data.topics import topics  # half a megabyte that only this needs

    return of_string("embedded", prose(topics[name] for name in sorted(topics)), unit)


def prose(pages: Iterable[str]) -> str:
    """Paragraphs of whole sentences, without their indent, each once however many pages have it.

    So headings, code, grammar, tables and lists stay out, and the end of the text does not repeat its beginning.

    >>> prose(["Loops\\n*****\\n\\nThey end.\\n\\n   while True:\\n       pass\\n", "   Or not.\\n\\n   They end.\\n"])
    'They end.\\n\\nOr not.'
    """
    paragraphs = (dedent(paragraph) for page in pages for paragraph in re.split(r"\n\s*\n", page.strip("\n")))
    return "\n\n".join(dict.fromkeys(filter(SENTENCES.fullmatch, paragraphs)))
