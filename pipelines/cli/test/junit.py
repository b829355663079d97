"""Results in the XML that CI systems read (JUnit's, as the Jenkins plugin describes it)."""

from __future__ import annotations

from collections.abc import Sequence
from xml.etree.ElementTree import Element, ElementTree, SubElement

from pipelines.cli.common import plain
from pipelines.cli.test.run import Result


def write_junit(path: str, results: Sequence[Result]) -> None:
    """Write the results to a file, a suite for each file of cases.

    Raises:
        OSError: The file cannot be written.
    """
    root = Element("testsuites", _counts(results))
    for file in dict.fromkeys(each.case.file for each in results):
        own = [each for each in results if each.case.file == file]
        suite = SubElement(root, "testsuite", {"name": file, **_counts(own)})
        for each in own:
            about = {"name": plain(each.case.keys.name), "classname": file, "file": file, "line": str(each.case.line)}
            case = SubElement(suite, "testcase", {**about, "time": f"{each.seconds:.6f}"})
            if each.problem:
                failure = SubElement(case, "failure", {"message": plain(each.problem)})
                failure.text = "\n".join(plain(f"{mark} {line}") for mark, line in each.lines)
    ElementTree(root).write(path, encoding="utf-8", xml_declaration=True)


def _counts(results: Sequence[Result]) -> dict[str, str]:
    failed = sum(bool(each.problem) for each in results)
    return {
        "tests": str(len(results)),
        "failures": str(failed),
        "errors": "0",
        "time": f"{sum(each.seconds for each in results):.6f}",
    }
