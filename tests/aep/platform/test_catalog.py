from __future__ import annotations

from typing import Any

import orjson
import pytest

from aep.errors import InvalidRequestError, NotFoundError, PlatformError
from aep.platform.catalog import PROFILE_TAGS, BatchError, Catalog
from aep.platform.data_access import DataAccess, NotWrittenError, RecordError, read_failed_record
from aep.platform.segments import SegmentDefinitions
from testing.fakes.http_server import HttpServer
from tests.aep.management import CONTENT_TYPE, Organisation, Script, answer, scripted


class TestDataSets:
    @pytest.mark.parametrize(
        "reference", ["@/dataSets/5c8c3c555033b814b69f947f", "@/datasets/5c8c3c555033b814b69f947f"]
    )
    def test_both_spellings_of_the_reply_to_a_creation(self, reference: str) -> None:
        with HttpServer(Script(answer([reference], 201))) as server:
            made = Catalog(scripted(server)).create_dataset("n", "s", CONTENT_TYPE, tags=PROFILE_TAGS)
        assert made == "5c8c3c555033b814b69f947f"
        (request,) = server.requests
        assert request.line == "POST /data/foundation/catalog/dataSets HTTP/1.1"
        assert orjson.loads(request.body) == {
            "name": "n",
            "description": "",
            "schemaRef": {"id": "s", "contentType": CONTENT_TYPE},
            "tags": {"unifiedIdentity": ["enabled:true"], "unifiedProfile": ["enabled:true"]},
        }

    @pytest.mark.parametrize("content", [{}, [], [1], "x"])
    def test_a_reply_without_the_id(self, content: Any) -> None:
        with HttpServer(Script(answer(content, 201))) as server, pytest.raises(PlatformError, match="@/dataSets/ID"):
            Catalog(scripted(server)).create_dataset("n", "s", CONTENT_TYPE)

    @pytest.mark.parametrize(
        ("tags", "enabled"),
        [
            ({"unifiedProfile": ["enabled:true"]}, True),
            ({"unifiedProfile": ["isUpsert: true", "enabled: true"]}, True),
            ({"unifiedProfile": ["enabled:false"]}, False),
            ({"unifiedProfile": "enabled:true"}, False),
            ({}, False),
            (None, False),
        ],
    )
    def test_whether_it_is_for_profile(self, tags: Any, enabled: bool) -> None:
        with HttpServer(Script(answer({"d": {"tags": tags}}))) as server:
            assert Catalog(scripted(server)).dataset("d").for_profile is enabled

    def test_a_data_set_through_its_life(self, organisation: Organisation) -> None:
        catalog = organisation.catalog
        schema_id = organisation.create_schema()
        made = catalog.create_dataset("Members", schema_id, CONTENT_TYPE, "All of them")
        other = catalog.create_dataset("Others", schema_id, CONTENT_TYPE)
        found = catalog.dataset(made)
        assert (found.id, found.name, found.schema_id, found.content_type) == (made, "Members", schema_id, CONTENT_TYPE)
        assert found.document["description"] == "All of them"
        assert not found.for_profile
        assert [each.id for each in catalog.datasets()] == [made, other]
        assert [each.id for each in catalog.datasets("Others")] == [other]

        catalog.patch_dataset(made, [{"op": "add", "path": "/tags", "value": PROFILE_TAGS}])
        assert catalog.dataset(made).for_profile
        catalog.merge_dataset(made, {"name": "Renamed"})
        assert catalog.dataset(made).name == "Renamed"

        catalog.delete_dataset(made)
        with pytest.raises(NotFoundError):
            catalog.dataset(made)

    def test_a_schema_that_does_not_exist(self, organisation: Organisation) -> None:
        with pytest.raises(InvalidRequestError):
            organisation.catalog.create_dataset("Members", "https://ns.adobe.com/nobody/schemas/1", CONTENT_TYPE)


class TestPages:
    @staticmethod
    def page(first: int, last: int) -> Any:
        return answer({f"b{number}": {"created": number} for number in range(first, last)})

    def test_pages_are_read_to_the_end(self) -> None:
        pages = self.page(0, 100), self.page(100, 200), self.page(200, 203), answer({})
        with HttpServer(Script(*pages)) as server:
            batches = list(Catalog(scripted(server)).batches("failed", "d1", 5, 6))
        assert [each.created_ms for each in batches] == list(range(203))
        query = "limit=100&status=failed&dataSet=d1&createdAfter=5&createdBefore=6&orderBy=asc%3Acreated"
        path = "/data/foundation/catalog/batches?"
        expected = [path + query, *(f"{path}start={start}&{query}" for start in (100, 200, 203))]
        assert [each.path for each in server.requests] == expected

    def test_a_shifted_page_gives_nothing_twice(self) -> None:
        with HttpServer(Script(self.page(0, 100), self.page(98, 150), answer({}))) as server:
            assert len(list(Catalog(scripted(server)).batches())) == 150

    def test_a_server_that_gives_fewer_than_it_was_asked_for(self) -> None:
        with HttpServer(Script(self.page(0, 20), self.page(20, 40), self.page(40, 41), answer({}))) as server:
            assert len(list(Catalog(scripted(server)).batches())) == 41

    @pytest.mark.parametrize("name", ["Members, EU", "Members,Orders", "!Members", "VIP*", "~Members"])
    def test_a_name_that_the_catalog_would_take_for_a_filter(self, name: str) -> None:
        with HttpServer(Script(answer({"1": {"name": "Members"}, "2": {"name": name}}), answer({}))) as server:
            (found,) = Catalog(scripted(server)).datasets(name)
        assert found.id == "2"
        assert server.requests[0].path == "/data/foundation/catalog/dataSets?limit=100"

    def test_a_server_that_knows_no_pages(self) -> None:
        with HttpServer(Script(self.page(0, 100))) as server:
            assert len(list(Catalog(scripted(server)).batches())) == 100
        assert len(server.requests) == 2

    def test_a_segment_that_another_one_has_moved_to_the_next_page_is_one(self) -> None:
        segments = [{"id": str(number), "name": f"S{number}"} for number in range(101)]
        pages = answer({"segments": segments[:100]}), answer({"segments": segments[99:]})
        with HttpServer(Script(*pages)) as server:
            assert list(SegmentDefinitions(scripted(server)).list()) == segments

    def test_pages_of_the_emulator(self, organisation: Organisation) -> None:
        schema_id = organisation.create_schema()
        made = [organisation.catalog.create_dataset(f"D{number}", schema_id, CONTENT_TYPE) for number in range(101)]
        assert [each.id for each in organisation.catalog.datasets()] == made


class TestBatches:
    def test_a_failed_batch_and_its_records(self, organisation: Organisation) -> None:
        streaming = organisation.create_streaming()
        good, wrong = organisation.member("m1"), organisation.member("m2", points="many")
        organisation.post(streaming, good, wrong)

        (batch,) = organisation.catalog.batches(status="failed")
        assert (batch.status, batch.dataset_id) == ("failed", streaming.dataset_id)
        assert (batch.metrics["inputRecordCount"], batch.metrics["failedRecordCount"]) == (1, 1)
        assert 0 < batch.created_ms <= batch.updated_ms
        assert [(type(each), each.records) for each in batch.errors] == [(BatchError, 1)]
        assert organisation.catalog.batch(batch.id) == batch

        access = DataAccess(organisation.client)
        assert sum(file.length for file in access.failed_files(batch.id)) > 0
        (record,) = access.failed_records(batch.id)
        assert record.document is not None
        assert record.document["body"]["xdmEntity"] == wrong
        assert "points" in record.errors[0].message
        assert orjson.loads(record.line) == record.document

    def test_filters(self, organisation: Organisation) -> None:
        streaming = organisation.create_streaming()
        organisation.post(streaming, organisation.member("m1"))
        (batch,) = organisation.catalog.batches()
        assert batch.status == "success"
        catalog = organisation.catalog
        assert list(catalog.batches(status="failed")) == []
        assert list(catalog.batches(dataset_id="0" * 24)) == []
        assert list(catalog.batches(created_after_ms=batch.created_ms)) == []
        assert list(catalog.batches(created_before_ms=batch.created_ms)) == []
        assert list(catalog.batches(created_after_ms=batch.created_ms - 1)) == [batch]

    def test_no_such_batch(self, organisation: Organisation) -> None:
        with pytest.raises(NotFoundError):
            organisation.catalog.batch("01JP8GQ7G4F4HH99114EKQCNKH")
        with pytest.raises(NotFoundError):
            list(DataAccess(organisation.client).failed_files("01JP8GQ7G4F4HH99114EKQCNKH"))


class TestFailedFiles:
    def test_files_and_lines(self) -> None:
        def entry(name: str, length: str) -> dict[str, Any]:
            return {"name": name, "length": length, "_links": {"self": {"href": f"https://h?path={name}"}}}

        first = {
            "data": [entry("_SUCCESS", "0"), entry("part 0.json", "12")],
            "_page": {"limit": 2, "count": 2},
            "_links": {"next": {"href": "https://h/data/foundation/export/batches/b/failed?start=2&limit=2"}},
        }
        second = {"data": [entry("part-1.json", "x")], "_page": {"limit": 2, "count": 1}}
        script = Script(answer(first), answer(b'{"a":1}\n\nnot json\n'), answer(second), answer(b'{"b":2}'))
        with HttpServer(script) as server:
            records = list(DataAccess(scripted(server)).failed_records("b"))
        assert [each.line for each in records] == [b'{"a":1}', b"not json", b'{"b":2}']
        assert [each.document for each in records] == [{"a": 1}, None, {"b": 2}]
        path = "/data/foundation/export/batches/b/failed?"
        queries = ["limit=100", "path=part+0.json", "start=2&limit=100", "path=part-1.json"]
        assert [each.path for each in server.requests] == [path + query for query in queries]

    def test_the_mark_that_a_file_may_begin_with_is_no_part_of_its_first_record(self) -> None:
        listed = {"data": [{"name": "part-0.json", "length": "11"}]}
        with HttpServer(Script(answer(listed), answer(b'\xef\xbb\xbf{"a":1}\r\n{"b":2}'))) as server:
            records = list(DataAccess(scripted(server)).failed_records("b"))
        assert [each.document for each in records] == [{"a": 1}, {"b": 2}]

    def test_a_batch_whose_files_are_not_written_yet_has_no_records_to_tell(self) -> None:
        with HttpServer(Script(answer({"data": []}))) as server, pytest.raises(NotWrittenError, match="b"):
            list(DataAccess(scripted(server)).failed_records("b"))
        with HttpServer(Script(answer({"data": [{"name": "_SUCCESS", "length": "0"}]}))) as server:
            assert list(DataAccess(scripted(server)).failed_records("b")) == []

    def test_a_list_of_files_in_another_form_is_not_taken_for_an_empty_one(self) -> None:
        with HttpServer(Script(answer({"data": ["part-0.json"]}))) as server, pytest.raises(PlatformError):
            list(DataAccess(scripted(server)).failed_records("b"))

    @pytest.mark.parametrize(
        ("line", "errors"),
        [
            (
                {
                    "_validationErrors": [
                        {
                            "causingExceptions": [],
                            "keyword": "format",
                            "message": "[2018-00-23T22:07:01Z] is not a valid date-time.",
                            "pointerToViolation": "#/timestamp",
                            "schemaLocation": "#/properties/timestamp",
                        }
                    ]
                },
                [RecordError("", "format", "#/timestamp", "[2018-00-23T22:07:01Z] is not a valid date-time.")],
            ),
            (
                {"_errors": {"_streamingValidation": [{"message": "Payload header is missing Source Name"}]}},
                [RecordError("", "", "", "Payload header is missing Source Name")],
            ),
            (
                {
                    "body": {"xdmEntity": {}},
                    "_errors": {"_streamingValidation": [{"code": "DCVS-1106-400", "message": "m"}], "_other": None},
                },
                [RecordError("DCVS-1106-400", "", "", "m")],
            ),
            (
                {
                    "_validationErrors": [
                        {
                            "message": "2 schema violations found",
                            "causingExceptions": [
                                {
                                    "message": "a",
                                    "keyword": "type",
                                    "causingExceptions": [],
                                    "pointerToViolation": "#/x",
                                },
                                {"message": "b", "keyword": "enum"},
                            ],
                        },
                        "odd",
                    ]
                },
                [RecordError("", "type", "#/x", "a"), RecordError("", "enum", "", "b")],
            ),
            ({"body": {}}, []),
            ([1], []),
        ],
    )
    def test_every_form_of_a_record(self, line: Any, errors: list[RecordError]) -> None:
        record = read_failed_record(orjson.dumps(line))
        assert record.errors == errors
        assert record.document == (line if isinstance(line, dict) else None)

    def test_what_an_error_quotes_of_a_record_is_cut(self) -> None:
        error = {"pointerToViolation": f"#/m/{'k' * 90_000}", "message": f"string [{'x' * 90_000}] does not match"}
        (found,) = read_failed_record(orjson.dumps({"_validationErrors": [error]})).errors
        assert (len(found.pointer), len(found.message)) == (500, 500)
