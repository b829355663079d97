"""Who may know whom: read from the imports of all production files, those inside functions too."""

from __future__ import annotations

import ast
import builtins
from collections.abc import Iterator
from graphlib import CycleError, TopologicalSorter
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]

# Each place may import itself and those named here. A module belongs to the longest of these names it starts with.
MAY_IMPORT = {
    "aep.errors": (),
    "aep.counted": (),
    "aep.xdm": ("aep.errors",),
    "aep.http": ("aep.errors",),
    "aep.ingestion": ("aep.errors", "aep.counted", "aep.http"),
    "aep.formats": ("aep.errors", "aep.counted", "aep.xdm"),
    "aep.mapping": ("aep.errors", "aep.xdm", "aep.formats", "aep.ingestion"),
    "aep.platform": ("aep.errors", "aep.http", "aep.xdm", "aep.ingestion"),
    "aep.provision": ("aep.errors", "aep.http", "aep.xdm", "aep.platform"),
    "kinesis": (),
    "transforms.worker": ("aep",),
    "transforms.records": ("aep", "transforms.worker"),
    "transforms.aep": ("aep", "transforms.worker", "transforms.records", "transforms.post"),
    "transforms.kafka": ("aep", "transforms.worker", "transforms.records"),
    "transforms.kinesis": (
        *("aep", "kinesis", "transforms.worker", "transforms.records", "transforms.post"),
        *("transforms.outputs", "transforms.sinks"),
    ),
    "transforms.sinks": ("aep", "transforms.worker", "transforms.records", "transforms.kafka"),
    "transforms": ("aep",),
    "pipelines.options": ("aep", "kinesis", "transforms"),
    "pipelines.destinations": ("aep", "kinesis", "transforms", "pipelines.options"),
    "pipelines.output": (),
    "pipelines.flink": ("aep.errors", "aep.counted"),
    "pipelines.runtime": (
        *("aep", "kinesis", "transforms", "pipelines.options", "pipelines.output", "pipelines.flink"),
    ),
    "pipelines.cli": ("aep", "transforms", "pipelines", "samples", "emulator.__main__", "emulator.kafka"),
    "pipelines": ("aep", "transforms"),
    "emulator.connection": (),
    "emulator.kafka": (),
    "emulator.segments": (),
    "emulator.state": ("aep.xdm", "emulator.segments"),
    "emulator.kinesis": ("emulator.state", "emulator.connection"),
    "emulator.export": ("emulator.state", "emulator.segments", "emulator.kinesis"),
    "emulator.api": ("aep.xdm", "emulator.state", "emulator.kinesis", "emulator.export", "emulator.connection"),
    "emulator.page": ("aep.xdm", "emulator.state", "emulator.api", "emulator.export", "emulator.kinesis"),
    "emulator": ("aep.xdm",),
    "samples": (),
    "testing": ("aep", "transforms", "pipelines", "emulator", "samples"),
    "demo": ("aep", "transforms", "pipelines", "emulator", "samples", "testing"),
    "bench": ("aep", "kinesis", "transforms", "pipelines", "emulator", "samples", "testing", "demo"),
}
PACKAGES = sorted({place.partition(".")[0] for place in MAY_IMPORT})


def modules() -> dict[str, Path]:
    """Return all modules that are not tests, by their dotted names."""
    found = {}
    for package in PACKAGES:
        for path in (ROOT / package).rglob("*.py"):
            parts = path.relative_to(ROOT).with_suffix("").parts
            found[".".join(parts[:-1] if parts[-1] == "__init__" else parts)] = path
    return found


MODULES = modules()


def imports(path: Path) -> Iterator[str]:
    """Yield the names that a file imports, as far as they are modules, and "tests"."""
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and node.module:
            for alias in node.names:
                full = f"{node.module}.{alias.name}"
                yield full if full in MODULES else node.module


def place_of(module: str) -> str:
    fitting = (place for place in MAY_IMPORT if is_in(module, place))
    return max(fitting, key=len, default="")


def is_in(module: str, place: str) -> bool:
    return module == place or module.startswith(f"{place}.")


def may_import(module: str, other: str) -> bool:
    """Return whether a module may import another: of its own place, of a place inside it, or of those
    that are allowed.
    """
    place = place_of(module)
    return any(is_in(other, allowed) for allowed in (place, *MAY_IMPORT[place]))


@pytest.mark.parametrize("package", PACKAGES)
def test_imports_go_one_way(package: str) -> None:
    wrong = [
        f"{module} imports {other}"
        for module, path in MODULES.items()
        if is_in(module, package)
        for other in imports(path)
        if other.partition(".")[0] in (*PACKAGES, "tests") and not may_import(module, other)
    ]
    assert wrong == []


def test_there_are_no_circles() -> None:
    graph = {
        module: {other for other in imports(path) if other in MODULES} - {module} for module, path in MODULES.items()
    }
    try:
        TopologicalSorter(graph).prepare()
    except CycleError as error:
        pytest.fail(f"a circle of imports: {' -> '.join(error.args[1])}")


def test_aep_and_its_neighbours_know_no_beam() -> None:
    knowing = [
        module
        for module, path in MODULES.items()
        if module.partition(".")[0] in ("aep", "emulator", "kinesis", "samples")
        and any(is_in(other, "apache_beam") for other in imports(path))
    ]
    assert knowing == []


def test_only_its_own_room_knows_how_records_get_to_aep() -> None:
    """All other transforms ask the protocol of destinations, so that a second destination changes none of them."""
    knowing = [
        f"{module} imports {other}"
        for module, path in MODULES.items()
        if is_in(module, "transforms") and not is_in(module, "transforms.aep")
        for other in imports(path)
        if any(is_in(other, room) for room in ("transforms.aep", "aep.ingestion", "aep.mapping.upserts"))
    ]
    assert knowing == []


def test_options_runs_and_checks_know_kinds_of_destinations_only_by_what_a_pipeline_names() -> None:
    """So that a second kind changes none of them. The options of a kind name its types."""
    rooms = ("pipelines.options", "pipelines.runtime", "pipelines.cli.check")
    knowing = [
        f"{module} imports {other}"
        for module, path in MODULES.items()
        if any(is_in(module, room) for room in rooms) and module != "pipelines.options.aep"
        for other in imports(path)
        if any(is_in(other, room) for room in ("pipelines.destinations", "transforms.aep"))
    ]
    assert knowing == []


def test_each_room_of_aep_and_transforms_has_its_rule() -> None:
    rooms = {
        ".".join(path.relative_to(ROOT).parts)
        for package in ("aep", "transforms", "pipelines", "emulator")
        for path in (ROOT / package).iterdir()
        if path.is_dir() and (path / "__init__.py").exists()
    }
    assert rooms <= MAY_IMPORT.keys()


# Raised for code that catches them by name; nobody sees them.
INTERNAL_ERRORS = {
    "AvroSchemaError",
    "DecodeError",
    "EntriesError",
    "NotApplicableError",
    "ProxyConnectionError",
    "TunnelError",
    "Unfit",
}


def test_an_error_that_a_person_reads_derives_from_the_one_base() -> None:
    strays = {
        node.name
        for module, path in MODULES.items()
        if module.partition(".")[0] in ("aep", "transforms", "pipelines")
        for node in ast.walk(ast.parse(path.read_text()))
        if isinstance(node, ast.ClassDef) and not node.name.startswith("_") and node.name != "UserError"
        if any(isinstance(base, ast.Name) and isinstance(builtin(base.id), type) for base in node.bases)
    }
    assert strays == INTERNAL_ERRORS


def builtin(name: str) -> type[Exception] | None:
    found = getattr(builtins, name, None)
    return found if isinstance(found, type) and issubclass(found, Exception) else None


def test_the_page_on_architecture_shows_each_room() -> None:
    page = (ROOT / "docs" / "architecture.md").read_text()
    rooms = {place.replace(".", "/") + "/" for place in MAY_IMPORT if (ROOT / place.replace(".", "/")).is_dir()}
    assert {room for room in rooms if f"{room.split('/')[-2]}/" not in page} == set()
