"""Where a member of a group was in partitions that it no longer has, for when they come back."""

from __future__ import annotations

from collections.abc import Mapping
from typing import NamedTuple

from transforms.kafka.client import Partition
from transforms.kafka.offsets import Committed
from transforms.kafka.start import is_another


class _Stretch(NamedTuple):
    began: Committed
    end: Committed


class LeftOff:
    """Partitions come back when the brokers were away for longer than a member may be silent, or a process was frozen.

    Then what was read of them is delivered by now, or will be by the end of the bundle, since bundles come one after
    another: it need not be read again, unless other members have gone further meanwhile.
    """

    def __init__(self) -> None:
        self._stretches: dict[Partition, _Stretch] = {}

    def note(self, partition: Partition, began: Committed, end: Committed) -> None:
        """Note that this member has read all from one offset to the other, and has the partition no more."""
        self._stretches[partition] = _Stretch(began, end)

    def go_back(self, claimed: Mapping[Partition, int]) -> None:
        """Forget what was read beyond these offsets, by a bundle that did not end well."""
        for one, (began, end) in self._stretches.items():
            offset = min(end.offset, claimed.get(one, began.offset))
            self._stretches[one] = _Stretch(began, Committed(offset, end.topic_id))

    def resume(self, partition: Partition, committed: Committed | None, was_committed: bool) -> Committed | None:
        """Return where to go on in a partition that has come back; None if that is not for this member to say.

        Args:
            partition: The partition.
            committed: What its group has committed.
            was_committed: Whether this member ever did; offsets that are gone went with their topic.
        """
        if partition not in self._stretches:
            return None
        began, end = self._stretches[partition]
        if committed is None:
            return None if was_committed else end
        inside = began.offset <= committed.offset <= end.offset
        return end if inside and not is_another(committed.topic_id, end.topic_id) else None

    def take(self, partition: Partition, at: Committed, committed: Committed | None) -> Committed:
        """Return where the reading of a partition that is now read from an offset has begun, and forget the rest.

        Args:
            partition: The partition.
            at: The offset.
            committed: What its group has committed: what others have done of a stretch is not done again.
        """
        stretch = self._stretches.pop(partition, None)
        if stretch is None or at != stretch.end:
            return at
        return stretch.began if committed is None else max(stretch.began, committed)
