"""Why a record is not valid XDM, in the words of Experience Platform's own reports."""

from typing import Any, NamedTuple

MAX_ERRORS = 20
MAX_MESSAGE = 200
MAX_POINTER = 500
# "Once five errors are encountered, validation will stop processing that message"
# (Streaming validation guide).
ADOBE_MAX_ERRORS = 5


class XdmError(NamedTuple):
    """One violation.

    Attributes:
        code: JSON Schema keyword (`type`, `required`, ...) or the name of a rule (`no_identity`, ...).
        pointer: JSON pointer (RFC 6901) into the record, "" for its root. In a rejection one of more than 500
            characters is cut, and ends with "...".
        schema_pointer: JSON pointer into the schema, "" for a rule that no schema holds.
        message: At most 200 characters; may quote a short value.
    """

    code: str
    pointer: str
    schema_pointer: str
    message: str


class Rejection(NamedTuple):
    """All that is wrong with one record; `code`, `message` and `pointer` are those of its first error.

    Attributes:
        code: Code of the first error.
        message: Message of the first error.
        pointer: JSON pointer of the first error.
        errors: The first 20 errors, ordered by their place in the record.
        error_count: Number of errors found, which may be more than `errors` holds.
    """

    code: str
    message: str
    pointer: str
    errors: tuple[XdmError, ...]
    error_count: int

    def as_adobe(self) -> dict[str, Any]:
        """Return the report form of the Streaming validation guide, as failed batches hold it too."""
        violations = []
        for error in self.errors[:ADOBE_MAX_ERRORS]:
            location, _, keyword = error.schema_pointer.rpartition("/")
            violations.append(
                {
                    "schemaLocation": f"#{location}",
                    "pointerToViolation": f"#{error.pointer}",
                    "causingExceptions": [],
                    "keyword": keyword or error.code,
                    "message": error.message,
                }
            )
        if len(violations) == 1:
            return violations[0]
        return {
            "schemaLocation": "#",
            "pointerToViolation": "#",
            "causingExceptions": violations,
            "message": f"{len(violations)} schema violations found",
        }


def rejection(errors: list[XdmError]) -> Rejection:
    """Sum up at least one error, the first being the one that names the rejection.

    However long the names in a record are: a dead letter repeats them for each error, and has to fit into a message.
    """
    kept = tuple(map(_shortened, errors[:MAX_ERRORS]))
    first = kept[0]
    return Rejection(first.code, first.message, first.pointer, kept, len(errors))


def _shortened(error: XdmError) -> XdmError:
    return error._replace(
        pointer=shorten(error.pointer, MAX_POINTER),
        schema_pointer=shorten(error.schema_pointer, MAX_POINTER),
        message=shorten(error.message),
    )


def shorten(text: str, limit: int = MAX_MESSAGE) -> str:
    """Cut a text to `limit` characters."""
    return text if len(text) <= limit else text[: limit - 3] + "..."
