"""What each group of options is made with."""

from typing import Any

from pydantic import BaseModel, ConfigDict, Field, field_validator


def option(default: Any, description: str, unit: str | None = None) -> Any:
    """Declare a field of a group: its default, its help, and the unit of a number."""
    return Field(default, description=description, json_schema_extra={"unit": unit})


class OptionGroup(BaseModel):
    """A group of options: typed strictly, immutable, without unknown fields."""

    model_config = ConfigDict(frozen=True, extra="forbid", strict=True, allow_inf_nan=False)

    @field_validator("*", mode="after")
    @classmethod
    def _refuse_blank(cls, value: Any) -> Any:
        if any(isinstance(item, str) and not item.strip() for item in (value if type(value) is tuple else [value])):
            raise ValueError("is empty (an unset variable?): leave the option out or give a value")
        return value
