"""Component files: found by id and name, refused by the file and the place where they are wrong."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import orjson
import pytest

from aep.xdm.components import read_component, read_components, read_object
from aep.xdm.schema import SchemaError

FOLDER = str(Path(__file__).with_name("components"))
XDM = "https://ns.adobe.com/xdm/"


def write(folder: Path, name: str, document: Any) -> Path:
    path = folder / name
    path.write_bytes(document if isinstance(document, bytes) else orjson.dumps(document))
    return path


@pytest.mark.parametrize("name", ["shopping", "shopping.schema.json", f"{XDM}context/experienceevent-shopping"])
def test_found_by_id_and_by_file_name(name: str) -> None:
    found = read_components([FOLDER]).find(name, bool)
    assert found.path == f"{FOLDER}/fieldgroups/shopping.schema.json"
    assert found.classes == (f"{XDM}context/experienceevent",)


@pytest.mark.parametrize(("name", "hint"), [("shoping", "; is it shopping"), ("zzzz", "$id or file name")])
def test_near_names_are_offered(name: str, hint: str) -> None:
    with pytest.raises(SchemaError, match=f"no component has '{name}'") as refused:
        read_components([FOLDER]).find(name, bool)
    assert hint in str(refused.value)


def test_a_name_that_several_have(tmp_path: Path) -> None:
    for folder in ("a", "b", "c"):
        (tmp_path / folder).mkdir()
        write(tmp_path / folder, "x.schema.json", {"$id": folder})
    components = read_components([str(tmp_path)])
    assert components.find("x", lambda each: each.id == "b").id == "b"
    with pytest.raises(SchemaError, match="'x' may be any of a, c: give the"):
        components.find("x", lambda each: each.id != "b")
    with pytest.raises(SchemaError, match="'x' may be any of a, b, c: give the"):
        components.find("x", lambda each: False)


def test_a_component_twice(tmp_path: Path) -> None:
    one = write(tmp_path, "one.schema.json", {"$id": "a"})
    two = write(tmp_path, "two.schema.json", {"$id": "a"})
    assert read_components([str(tmp_path)]).find("one", bool).id == "a"
    two.write_bytes(b'{"$id":"a","title":"other"}')
    with pytest.raises(SchemaError) as refused:
        read_components([str(tmp_path)])
    assert str(two) in str(refused.value)
    assert str(one) in str(refused.value)


def deep(levels: int) -> dict[str, Any]:
    node: dict[str, Any] = {}
    for _ in range(levels):
        node = {"properties": {"a": node}}
    return node


@pytest.mark.parametrize(
    ("document", "hint"),
    [
        (b"{", "not JSON: "),
        (b"[]", "expected a JSON object, got a list"),
        ({"allOf": {}}, ", #/allOf: expected an array, got a dict"),
        ({"allOf": ["x"]}, ", #/allOf/0: expected a schema, got a str"),
        ({"definitions": {"d": {"properties": []}}}, ", #/definitions/d/properties: expected an object, got a list"),
        ({"properties": {"a/b": {"items": {"$ref": 1}}}}, ", #/properties/a~1b/items/$ref: expected a string"),
        ({"additionalProperties": {"type": ["a"]}}, ", #/additionalProperties/type: expected a string"),
        ({"required": [1]}, ", #/required: expected a list of field names"),
        (deep(80), "nested too deeply"),
    ],
)
def test_a_file_that_is_no_component(document: Any, hint: str, tmp_path: Path) -> None:
    path = write(tmp_path, "bad.schema.json", document)
    with pytest.raises(SchemaError) as refused:
        read_component(str(path))
    assert str(refused.value).startswith(str(path))
    assert hint in str(refused.value)


def test_folders_without_components(tmp_path: Path) -> None:
    with pytest.raises(SchemaError, match="no such folder"):
        read_components([str(tmp_path / "nowhere")])
    with pytest.raises(SchemaError, match=r"no \*\.schema\.json in it"):
        read_components([str(tmp_path)])
    write(tmp_path, "a.schema.json", {"title": "no id"})
    with pytest.raises(SchemaError, match=r"a\.schema\.json: the component has no \"\$id\""):
        read_components([str(tmp_path)])


def test_a_byte_order_mark_in_front_of_a_component_is_passed_over(tmp_path: Path) -> None:
    path = tmp_path / "own.json"
    path.write_bytes(b'\xef\xbb\xbf{"title": "Own"}')
    assert read_object(str(path)) == {"title": "Own"}
