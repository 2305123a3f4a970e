"""Is the default of a definition a value that the definition admits?"""

from typing import Any

import jsonschema_rs

from schemas.formats.field_schema import definition_schema
from schemas.formats.patterns import PATTERN_OPTIONS
from schemas.formats.problems import ProblemList, shown, step


def check_default(definition: dict[str, Any], pointer: str, problems: ProblemList) -> None:
    """Adds a problem if `definition`, sound in everything else, does not admit its own default."""
    validator = jsonschema_rs.Draft202012Validator(
        definition_schema({key: value for key, value in definition.items() if key != "default"}),
        validate_formats=True,
        pattern_options=PATTERN_OPTIONS,
        offline=True,
    )
    if not validator.is_valid(definition["default"]):
        message = f"The default {shown(definition['default'])} is no value that this definition admits."
        problems.add("DEFAULT_NOT_ADMITTED", step(pointer, "default"), message)
