"""What would become of records up to the post: the pipeline's own steps, in this process and without a pipeline."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field

from apache_beam.pvalue import TaggedOutput

from aep.xdm.rules import XdmRules
from transforms.chunks import Chunk
from transforms.dead_letter import DeadLetter
from transforms.mapping import ApplyMappingFn
from transforms.parse import ParseRecordsFn, Tombstones
from transforms.routes import Routes
from transforms.validate import ValidateXdmFn


@dataclass
class Judgement:
    """What would become of records.

    Attributes:
      records: how many there were.
      posted: how many would be posted.
      dead_letters: those that would not, as they would be written.
    """

    records: int = 0
    posted: int = 0
    dead_letters: list[DeadLetter] = field(default_factory=list)

    @property
    def skipped(self) -> int:
        """Tombstones, where they are skipped."""
        return self.records - self.posted - len(self.dead_letters)


def judge(chunks: Iterable[Chunk], routes: Routes, rules: XdmRules, tombstones: Tombstones) -> Judgement:
    """Parses, maps and checks records as they were read."""
    parse, apply, check = ParseRecordsFn(routes, tombstones), ApplyMappingFn(routes), ValidateXdmFn(routes, rules)
    found = Judgement()

    def passed(outputs: Iterable[Chunk | TaggedOutput]) -> Iterator[Chunk]:
        for output in outputs:
            if isinstance(output, TaggedOutput):
                found.dead_letters.append(output.value)
            else:
                yield output

    for chunk in chunks:
        found.records += len(chunk.records)
        for parsed in passed(parse.process(chunk)):
            for mapped in passed(apply.process(parsed)):
                found.posted += sum(len(valid.records) for valid in passed(check.process(mapped)))
    return found
