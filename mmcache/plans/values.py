"""The values that a setting may have: stated once, checked in Python, and the same in plan files.

A field says so in its annotation: `interval: Annotated[int, Whole(1)]`. `check_fields` reads that when a
setting is made in Python; pydantic reads it for plan files and for their JSON schema (`plan_model`).
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, fields
from typing import TYPE_CHECKING, Any, Protocol

from mmcache.errors import shown

if TYPE_CHECKING:  # only plan files of a user are read by pydantic
    from pydantic_core import CoreSchema

MOST_STEPS = 100_000  # a hundred times the training steps of any published sampler
MOST_WORDS = 10_000  # characters of a text in a plan file
# Lone surrogates are no text: no file of UTF-8 can hold them.
TEXT = r"^[^\ud800-\udfff]*$"


class Value(Protocol):
    """What may stand in a field."""

    def check(self, owner: str, name: str, value: Any) -> None:
        """Refuse a value.

        Args:
            owner: class of the setting, to show the code that was written.
            name: of the field.

        Raises:
            ValueError: it is not one of these.
        """

    def core(self) -> "CoreSchema":
        """The same for pydantic."""

    def for_editors(self) -> dict[str, Any]:
        """The same as JSON schema."""


class ForPydantic:
    """Answers pydantic, which asks whatever stands in an annotation."""

    def __get_pydantic_core_schema__(self: Value, source: Any, handler: Any) -> "CoreSchema":
        return self.core()

    def __get_pydantic_json_schema__(self: Value, core: "CoreSchema", handler: Any) -> dict[str, Any]:
        return self.for_editors()


@dataclass(frozen=True)
class Whole(ForPydantic):
    """A whole number within bounds.

    Attributes:
        least, most: the bounds, both allowed.
        meaning: of the least.
        or_none: whether None is allowed too.
        or_word: a word that is allowed too.
    """

    least: int
    most: int = MOST_STEPS
    meaning: str = ""
    or_none: bool = False
    or_word: str = ""

    def check(self, owner: str, name: str, value: Any) -> None:
        if (value is None and self.or_none) or (self.or_word and value == self.or_word):
            return
        why = f" ({self.meaning})" if self.meaning else ""
        if isinstance(value, bool) or not isinstance(value, int) or value < self.least:
            wanted = f"must be a whole number of at least {self.least}{why}"
        elif value > self.most:
            wanted = f"must be at most {self.most}"
        else:
            return
        raise ValueError(f"{owner}({name}={shown(value)}): {name} {wanted}")

    def core(self) -> "CoreSchema":
        from pydantic_core import core_schema

        strict = core_schema.int_schema(strict=True, ge=self.least, le=self.most)
        whole: CoreSchema = core_schema.no_info_before_validator_function(from_integral, strict)
        if self.or_word:
            whole = core_schema.union_schema([core_schema.literal_schema([self.or_word]), whole])
        return core_schema.nullable_schema(whole) if self.or_none else whole

    def for_editors(self) -> dict[str, Any]:
        number: dict[str, Any] = {"type": "integer", "minimum": self.least, "maximum": self.most}
        if self.or_word:
            number = {"anyOf": [number, {"const": self.or_word}]}
        return {"anyOf": [number, {"type": "null"}]} if self.or_none else number


@dataclass(frozen=True)
class Real(ForPydantic):
    """A number above a bound and up to another; so it is never infinite, and never NaN."""

    above: float
    most: float

    def check(self, owner: str, name: str, value: Any) -> None:
        if isinstance(value, bool) or not isinstance(value, int | float) or not value > self.above:
            wanted = f"must be a number above {self.above:g}"
        elif value > self.most:
            wanted = f"must be at most {self.most:g}"
        else:
            return
        raise ValueError(f"{owner}({name}={shown(value)}): {name} {wanted}")

    def core(self) -> "CoreSchema":
        from pydantic_core import core_schema

        return core_schema.float_schema(strict=True, gt=self.above, le=self.most, allow_inf_nan=False)

    def for_editors(self) -> dict[str, Any]:
        # NaN is neither above nor below anything: only what is put as "not at most" refuses it.
        above = {"exclusiveMinimum": self.above, "not": {"maximum": self.above}}
        return {"type": "number", **above, "maximum": self.most}


@dataclass(frozen=True)
class Share(ForPydantic):
    """A number from 0 to 1."""

    def check(self, owner: str, name: str, value: Any) -> None:
        if isinstance(value, bool) or not isinstance(value, int | float) or not 0 <= value <= 1:
            raise ValueError(f"{owner}({name}={shown(value)}): {name} must be a share, from 0 to 1")

    def core(self) -> "CoreSchema":
        from pydantic_core import core_schema

        return core_schema.float_schema(strict=True, ge=0, le=1, allow_inf_nan=False)

    def for_editors(self) -> dict[str, Any]:
        # NaN is neither above nor below anything: only what is put as "not above" refuses it.
        return {"type": "number", "minimum": 0, "maximum": 1, "not": {"exclusiveMinimum": 1}}


@dataclass(frozen=True)
class Flag(ForPydantic):
    """True or False."""

    def check(self, owner: str, name: str, value: Any) -> None:
        if not isinstance(value, bool):
            raise ValueError(f"{owner}({name}={shown(value)}): {name} must be True or False")

    def core(self) -> "CoreSchema":
        from pydantic_core import core_schema

        return core_schema.bool_schema(strict=True)

    def for_editors(self) -> dict[str, Any]:
        return {"type": "boolean"}


@dataclass(frozen=True)
class Text(ForPydantic):
    """Text of at most so many characters."""

    most: int = 200

    def check(self, owner: str, name: str, value: Any) -> None:
        if not isinstance(value, str) or len(value) > self.most:
            raise ValueError(f"{owner}({name}={shown(value)}): {name} must be text of at most {self.most}")

    def core(self) -> "CoreSchema":
        from pydantic_core import core_schema

        return core_schema.str_schema(strict=True, max_length=self.most)

    def for_editors(self) -> dict[str, Any]:
        return {"type": "string", "maxLength": self.most, "pattern": TEXT}


@dataclass(frozen=True)
class Each(ForPydantic):
    """A list of such values.

    Attributes:
        of: what each entry is.
        least, most: how many there are.
        also: what else a JSON schema says of the list; the setting itself checks it.
        or_one: whether one value may stand for the list.
    """

    of: Value
    least: int = 0
    most: int = MOST_STEPS
    also: Mapping[str, Any] = field(default_factory=dict)
    or_one: bool = False

    def check(self, owner: str, name: str, value: Any) -> None:
        if self.or_one and (isinstance(value, str) or not isinstance(value, Sequence)):
            return self.of.check(owner, name, value)
        if isinstance(value, str) or not isinstance(value, Sequence):
            raise ValueError(f"{owner}({name}={shown(value)}): {name} must be a list")
        if not self.least <= len(value) <= self.most:
            wanted = f"must have {self.least} to {self.most} entries, and has {len(value)}"
            raise ValueError(f"{owner}({name}={shown(value)}): {name} {wanted}")
        for entry in value:
            self.of.check(owner, name, entry)

    def core(self) -> "CoreSchema":
        from pydantic_core import core_schema

        entries = core_schema.list_schema(
            self.of.core(), strict=True, min_length=self.least, max_length=self.most, fail_fast=True
        )
        return core_schema.union_schema([self.of.core(), entries]) if self.or_one else entries

    def for_editors(self) -> dict[str, Any]:
        entries = {
            "type": "array",
            "items": self.of.for_editors(),
            "minItems": self.least,
            "maxItems": self.most,
            **self.also,
        }
        return {"anyOf": [self.of.for_editors(), entries]} if self.or_one else entries


def from_integral(value: Any) -> Any:
    """3 from 3.0: to JSON they are the same number."""
    return int(value) if isinstance(value, float) and value.is_integer() else value


def check_fields(setting: Any) -> None:
    """Refuse a setting whose fields have values that their annotations do not allow, in Python's words.

    Raises:
        ValueError: the first that is wrong, as the code that was written.
    """
    for one in fields(setting):
        for value in getattr(one.type, "__metadata__", ()):
            value.check(type(setting).__name__, one.name, getattr(setting, one.name))
