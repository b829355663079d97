"""What AEP refused after it had received it, pulled from its failed batches into files of dead letters.

Each batch makes one file, whose name tells its time and its id, and when that is whole a mark in the folder `pulled`
beside it: the file may be replayed and moved away, and the batch is still known.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timezone
from typing import Any

import orjson
from apache_beam.io.filesystems import FileSystems

from aep.counted import counted
from aep.errors import ConfigurationError, NotFoundError, UnavailableError
from aep.platform.catalog import Batch, Catalog
from aep.platform.client import segment
from aep.platform.data_access import DataAccess, FileTooLargeError, NotWrittenError
from aep.xdm.rules import XdmRules
from pipelines.cli.common import WHOLE_RECORD, without_indices
from pipelines.cli.dead_letters.tables import printable
from pipelines.output.layout import Column
from pipelines.output.table import Table
from transforms.aep.failed_records import dead_letters_of, route_of_dataset
from transforms.aep.inlet import as_inlet
from transforms.records.dead_letter import DeadLetter
from transforms.records.outcome import Refusal
from transforms.records.route import Route, Routes
from transforms.sinks.files import write_lines

PULLED = "pulled"


@dataclass
class Reason:
    """Records with one code of AEP's at one field.

    Attributes:
        batch: Id of a batch with such a record.
        records: How many there are.
        refused_here: How many of them our check refuses too.
        codes: Our codes for these.
    """

    batch: str
    records: int = 0
    refused_here: int = 0
    codes: Counter[str] = field(default_factory=Counter)


@dataclass
class Account:
    """What was pulled.

    Attributes:
        batches, records: How many are new.
        known: Batches that were pulled before.
        gone: Batches that the Catalog lists and whose records are no longer there.
        too_large: Of batches with a file that cannot be got, which and why.
        unwritten: Batches whose files AEP does not list yet.
        unread: Of batches that AEP fails to give, which and why.
        reasons: By AEP's code and the field.
    """

    batches: int = 0
    records: int = 0
    known: int = 0
    gone: list[str] = field(default_factory=list)
    too_large: list[str] = field(default_factory=list)
    unwritten: list[str] = field(default_factory=list)
    unread: list[str] = field(default_factory=list)
    reasons: dict[tuple[str, str], Reason] = field(default_factory=dict)

    def add(self, batch_id: str, letter: DeadLetter, ours: Refusal | None) -> None:
        """Count a record."""
        self.records += 1
        reason = self.reasons.setdefault((letter.code, without_indices(letter.pointer)), Reason(batch_id))
        reason.records += 1
        if ours is not None:
            reason.refused_here += 1
            reason.codes[ours.code] += 1

    def document(self) -> dict[str, Any]:
        """Return the counts for programs."""
        return {
            "batches": self.batches,
            "records": self.records,
            "known": self.known,
            "gone": self.gone,
            "too_large": self.too_large,
            "unwritten": self.unwritten,
            "unread": self.unread,
            "reasons": [
                {
                    "code": code,
                    "field": place,
                    "records": reason.records,
                    "refused_here": reason.refused_here,
                    "refused_here_as": dict(reason.codes.most_common()),
                    "batch": reason.batch,
                }
                for (code, place), reason in self._most_first()
            ],
        }

    def _most_first(self) -> list[tuple[tuple[str, str], Reason]]:
        return sorted(self.reasons.items(), key=lambda item: -item[1].records)

    def table(self) -> Table:
        """Return the reasons, the most frequent first."""
        grid = Table(
            f"{counted(self.records, 'record')} that AEP refused after it had received them",
            (
                Column("AEP's code"),
                Column("field", "id"),
                Column("records", "number"),
                Column("refused here too", "number"),
                Column("as", "text", rank=1),
                Column("in batch, for example", "id", rank=2),
            ),
            note="refused here too: by our check with the current schema and options",
        )
        for (code, place), reason in self._most_first():
            codes = ", ".join(f"{ours} {times:,}" for ours, times in reason.codes.most_common())
            grid.add(
                *map(printable, (code, place or WHOLE_RECORD)),
                f"{reason.records:,}",
                f"{reason.refused_here:,}",
                printable(codes),
                printable(reason.batch),
            )
        return grid


class FailedBatches:
    """The failed batches of datasets, on their way into a folder.

    Args:
        catalog: Finds the batches.
        data: Reads them.
        routes: Routes of the run that posted the records.
        rules: Rules of its check.
        datasets: Ids of the datasets; none for all that the routes lead to.
        folder: For dead letters, on any Beam filesystem.

    Raises:
        ConfigurationError: None of the routes leads to one of the datasets, or to any.
    """

    def __init__(
        self,
        catalog: Catalog,
        data: DataAccess,
        routes: Routes,
        rules: XdmRules,
        datasets: Sequence[str],
        folder: str,
    ):
        self._catalog = catalog
        self._data = data
        self._routes = routes
        self._rules = rules
        self._folder = folder
        self._wanted = {one: _route_to(one, routes) for one in datasets or dict.fromkeys(_datasets(routes))}
        if not self._wanted:
            raise ConfigurationError("the routes name no dataset: give the dataset_id of each, or aep_dataset_id")

    @property
    def datasets(self) -> list[str]:
        """Ids of the datasets."""
        return list(self._wanted)

    def pull(self, since: float | None, until: float | None) -> Account:
        """Pull the batches that were made in this time and not pulled before; those of a dataset the oldest first.

        Args:
            since, until: Seconds since 1970; from `since` on and before `until`.

        Raises:
            AepError: The Catalog fails, or Data Access for two batches in succession; what was pulled until then is
                whole.
        """
        account = Account()
        for dataset_id in self._wanted:
            self._pull_dataset(dataset_id, since, until, account)
        return account

    def _pull_dataset(self, dataset_id: str, since: float | None, until: float | None, account: Account) -> None:
        found = self._catalog.batches(
            "failed",
            dataset_id,
            created_after_ms=None if since is None else round(since * 1000) - 1,
            created_before_ms=None if until is None else round(until * 1000),
        )
        failing = False
        for batch in found:
            mark = FileSystems.join(self._folder, PULLED, f"{segment(batch.id)}.json")
            if FileSystems.exists(mark):
                account.known += 1
                continue
            try:
                self._pull(dataset_id, batch, mark, account)
            except NotFoundError:
                account.gone.append(batch.id)
            except FileTooLargeError as error:
                account.too_large.append(str(error))
            except NotWrittenError:
                account.unwritten.append(batch.id)
            except UnavailableError as error:
                if failing:  # it is not this batch
                    raise
                account.unread.append(f"batch {batch.id}: {error}")
                failing = True
                continue
            failing = False

    def _pull(self, dataset_id: str, batch: Batch, mark: str, account: Account) -> None:
        records = list(self._data.failed_records(batch.id))
        letters = list(dead_letters_of(batch, iter(records), self._wanted[dataset_id], self._routes, self._rules))
        _make_folder(FileSystems.join(self._folder, PULLED))
        path = write_lines(self._folder, (letter.to_json() for letter, _ in letters), name_of(batch)) if letters else ""
        note = {"batch": batch.id, "dataset": dataset_id, "records": len(letters), "file": path}
        with FileSystems.create(mark) as file:
            file.write(orjson.dumps(note) + b"\n")
        account.batches += 1
        for letter, ours in letters:
            account.add(batch.id, letter, ours)


def name_of(batch: Batch) -> str:
    """Return the name of the file of a batch, in the order of time among all files of dead letters."""
    made = datetime.fromtimestamp(batch.created_ms / 1000, timezone.utc)
    return f"{made:%Y%m%dT%H%M%S}-{segment(batch.id)}.jsonl"


def _route_to(dataset_id: str, routes: Routes) -> Route:
    route = route_of_dataset(dataset_id, routes)
    if route is None:
        known = ", ".join(sorted(_datasets(routes))) or "none"
        raise ConfigurationError(
            f"no route leads to the dataset {dataset_id}, so its records could not be replayed; the routes lead to "
            f"{known}. Give the routes_file or the options of the run that sent them"
        )
    return route


def _datasets(routes: Routes) -> Iterator[str]:
    inlets = (as_inlet(route.destination) for route in routes)
    return (inlet.dataset_id for inlet in inlets if inlet.dataset_id)


def _make_folder(folder: str) -> None:
    if "://" not in folder and not FileSystems.exists(folder):
        FileSystems.mkdirs(folder)
