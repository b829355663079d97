import pytest

from aep.counted import counted


@pytest.mark.parametrize(
    ("number", "words"), [(0, "0 records"), (1, "1 record"), (2, "2 records"), (1_000, "1,000 records")]
)
def test_says_how_many(number: int, words: str) -> None:
    assert counted(number, "record") == words
