"""The JSON schema of plan files, by which editors complete and check them.

python -m mmcache.plans.plan_schema > configs/plan.schema.json
"""

import json
from typing import Any

from pydantic.json_schema import GenerateJsonSchema

from mmcache.plans.plan_model import PlanModel


class _WithoutTitles(GenerateJsonSchema):
    """A field's title would repeat its name."""

    def field_title_should_be_set(self, schema: Any) -> bool:
        return False


def plan_schema() -> dict[str, Any]:
    """Of a plan file; it accepts what `load_plan` accepts."""
    dialect = {"$schema": "https://json-schema.org/draft/2020-12/schema"}
    return dialect | PlanModel.model_json_schema(schema_generator=_WithoutTitles)


if __name__ == "__main__":
    print(json.dumps(plan_schema(), indent=2))
