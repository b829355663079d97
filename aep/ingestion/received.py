"""What AEP says of the messages of a batch that it has received whole: an id of each, and nothing else."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TypeVar, overload

T = TypeVar("T")


class Received(Sequence[T]):
    """An item for each id, made as it is asked for: of most batches nobody asks for any.

    Args:
        ids: AEP's ids of the messages, in order.
        make: Makes the item of an id.

    Attributes:
        ids: The ids.
    """

    def __init__(self, ids: list[str], make: Callable[[str], T]):
        self.ids = ids
        self._make = make

    def __len__(self) -> int:
        return len(self.ids)

    @overload
    def __getitem__(self, index: int) -> T: ...

    @overload
    def __getitem__(self, index: slice) -> Sequence[T]: ...

    def __getitem__(self, index: int | slice) -> T | Sequence[T]:
        return self._make(self.ids[index]) if isinstance(index, int) else Received(self.ids[index], self._make)

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Sequence) and list(self) == list(other)

    __hash__ = None  # type: ignore[assignment]  # as that of a list
