"""What each group of options is made with."""

from typing import Any

from pydantic import BaseModel, ConfigDict, Field, ValidationInfo, field_validator


def option(default: Any, description: str, unit: str | None = None) -> Any:
    """Declare a field of a group: its default, its help, and the unit of a number."""
    return Field(default, description=description, json_schema_extra={"unit": unit})


class OptionGroup(BaseModel):
    """A group of options: typed strictly, immutable, without unknown fields."""

    model_config = ConfigDict(frozen=True, extra="forbid", strict=True, allow_inf_nan=False)

    @field_validator("*", mode="before")  # a type's own check would say what an empty text is not
    @classmethod
    def _refuse_blank(cls, value: Any, info: ValidationInfo) -> Any:
        if any(
            isinstance(item, str) and not item.strip() for item in (value if type(value) in (tuple, list) else [value])
        ):
            can_be_null = info.field_name is not None and cls.model_fields[info.field_name].default is None
            instead = "give a value, or null for none" if can_be_null else "leave the option out or give a value"
            raise ValueError(f"is empty (an unset variable?): {instead}")
        return value
