"""What is wrong with YAML, as who writes it would say it, and on which line."""

from __future__ import annotations

import pytest

from pipelines.options.yaml_files import read_entries

BAD = {
    "a: x\n\tb: y\n": "2: a tab: YAML is indented with blanks only",
    "a:\n\t- b\n": "2: a tab: YAML is indented with blanks only",
    "a: |\n b\n\tc\n": "3: a tab: YAML is indented with blanks only",
    "a: [b, c\nd: e\n": "1: an unclosed [, or a comma missing between what is in it",
    "a: 1\nb: {c: [1,\n  2\nd: x\n": "2: an unclosed [, or a comma missing between what is in it",
    "a: {b: c\n": "1: an unclosed {, or a comma missing between what is in it",
    "a: 1\nb: {\n": "2: an unclosed {",
    "a: 1\nb: [\n": "2: an unclosed [",
    "a: b\nc: ]\n": "2: a ] that nothing opened",
    "a: b\n  c: d\n": "2: wrong indentation: this line is further in than its neighbours, or the line before lacks its "
    "colon",
    "a:\n  - b\n - c\n": "3: wrong indentation: this line does not line up with those above",
    "a:\n  - b: c\n   d: e\n": "3: wrong indentation: this line does not line up with those above",
    "a: b: c\n": "1: a second colon in this line: put the value in quotation marks",
    'a: 1\nb: "c\nd: e\n': "2: a quotation mark that is not closed",
    'a: "b\\q"\n': "1: \\q in double quotes: write \\\\ for a backslash, or use single quotes",
    "a: 'it's'\n": "1: something after a closing quotation mark: write '' for ' inside single quotes",
    "a: @b\n": "1: a value cannot begin with @: put it in quotation marks",
    "a: %b\n": "1: a value cannot begin with %: put it in quotation marks",
    "a: b\nhunter2\nc: d\n": "2: a line without a colon after its name, or a name that is not closed",
    '{"a": 1}\n{"a": 2}\n': "2: the value above is whole already, so this cannot follow it",
    "a: b\n---\nc: d\n": "2: a second document (---): give one",
}


@pytest.mark.parametrize(("text", "says"), BAD.items())
def test_plain_words_and_the_line_to_look_at(text: str, says: str) -> None:
    problems: list[str] = []
    read_entries(text, "a.yaml", problems)
    line, _, words = says.partition(": ")
    assert problems == [f"a.yaml:{line}: not valid YAML: {words}"]
