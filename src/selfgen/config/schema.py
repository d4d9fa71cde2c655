"""The JSON schema of the configuration, for editors: ``selfgen manual`` writes it.

Equal code gives equal text.
"""

from __future__ import annotations

import json

from selfgen import config
from selfgen.config import synthetic
from selfgen.core.types import Keys

SCHEMAS: dict[str, type[Keys]] = {
    "schema.json": config.Config,
    "synthetic.schema.json": synthetic.Controlled,
}
"""File in ``config/`` and the class of a whole configuration file that it describes."""


def schema(name: str) -> str:
    """The JSON schema of that name. No top-level key is required, since a file may be read
    on top of another, which has the rest."""
    described = SCHEMAS[name].model_json_schema()
    described.pop("required", None)
    described["$schema"] = "https://json-schema.org/draft/2020-12/schema"
    return json.dumps(described, indent=1, ensure_ascii=False) + "\n"
