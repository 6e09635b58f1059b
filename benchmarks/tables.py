"""Fills the tables of a document from results of the suite.

    python -m benchmarks.tables RESULTS.json docs/performance.md

Whatever stands between `<!-- table: PART -->` and the next `<!-- end -->` is replaced by the part's
table, with date, hardware and versions above it; parts that were not measured stay as they are.
Exit status 2, one `error:` line and an untouched document where either file is not as described.
"""

import json
import re
import sys
from pathlib import Path

from benchmarks import suite
from mmix_jax.errors import InputError


def markdown_table(rows: list[suite.Row]) -> str:
    """The rows as a Markdown table, numbers to the right."""
    headings, lines = suite.cells(rows)
    if not lines:
        return "Nothing was measured on this machine."
    rule = ["---", *["---:"] * (len(headings) - 1)]
    return "\n".join("| " + " | ".join(line) + " |" for line in (headings, rule, *lines))


def caption(document: dict) -> str:
    """When, on what, and with which versions."""
    hardware, versions = document["hardware"], document["versions"]
    named = ", ".join(f"{name} {version}" for name, version in versions.items())
    accelerator = ""
    if hardware["platform"] != "cpu":
        accelerator = f", {hardware['num_devices']} × {hardware['device']}"
    return (
        f"{document['date'][:10]}, {hardware['processor']}, {hardware['threads']} threads"
        f"{accelerator}; {named}."
    )


def places_of(text: str, kind: str) -> list[tuple[str, slice]]:
    """Names of the `<!-- KIND: NAME -->` in a document, each with what stands between it and the
    next `<!-- end -->`.

    Raises:
      InputError: a mark has no end, or an end no mark.
    """
    places: list[tuple[str, slice]] = []
    name, begin = None, 0
    pattern = rf"<!--\s*(?:{kind}:\s*(?P<name>[^>]*?)|(?P<end>end))\s*-->"
    for mark in re.finditer(pattern, text):
        if (name is None) == (mark["end"] is not None):
            line = text.count("\n", 0, mark.start()) + 1
            raise InputError(
                f"line {line}: every '<!-- {kind}: NAME -->' is followed by '<!-- end -->', found "
                f"'{mark[0]}' out of turn; add what is missing"
            )
        if mark["end"] is None:
            name, begin = mark["name"], mark.end()
        elif name is not None:
            places.append((name, slice(begin, mark.start())))
            name = None
    if name is not None:
        raise InputError(f"{kind} '{name}' has no '<!-- end -->' after it; add one")
    return places


def fill(text: str, document: dict) -> tuple[str, list[str], list[str]]:
    """The document with its tables; parts that were filled, and parts without results.

    Raises:
      InputError: a table has no end, or an end no table.
    """
    pieces, filled, left, place = [], [], [], 0
    for part, between in places_of(text, "table"):
        there = part in document["parts"]
        (filled if there else left).append(part)
        words = text[between]
        if there:
            table = markdown_table(document["parts"][part]["rows"])
            words = f"\n{caption(document)}\n\n{table}\n"
        pieces += [text[place : between.start], words]
        place = between.stop
    return "".join([*pieces, text[place:]]), filled, left


def read_results(path: Path) -> dict:
    """The document that the suite wrote.

    Raises:
      InputError: it cannot be read, is not the suite's, or comes of `--quick`.
    """
    try:
        document = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise InputError(
            f"{path} must be JSON that 'python -m benchmarks' wrote, found: {error}"
        ) from error
    wanted = {"date", "quick", "hardware", "versions", "parts"}
    if not isinstance(document, dict) or not wanted <= document.keys():
        raise InputError(f"{path} must be what 'python -m benchmarks' wrote, found other JSON")
    if document["quick"]:
        raise InputError(f"{path} holds results of --quick, which say nothing; measure without it")
    return document


def main(argv: list[str] | None = None) -> int:
    """Fill the tables; returns the exit status."""
    argv = sys.argv[1:] if argv is None else argv
    try:
        if len(argv) != 2:
            raise InputError(f"two files are needed, found {len(argv)}: RESULTS.json DOCUMENT.md")
        results, path = (Path(name) for name in argv)
        document = read_results(results)
        try:
            text = path.read_text(encoding="utf-8")
        except (OSError, ValueError) as error:
            raise InputError(f"{path} must be a Markdown file, found: {error}") from error
        text, filled, left = fill(text, document)
    except InputError as error:
        print(f"error: {' '.join(str(error).split())}", file=sys.stderr)
        return 2
    suite.write_whole(path, text)
    print(f"filled: {', '.join(filled) or 'none'}; without results: {', '.join(left) or 'none'}")
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
