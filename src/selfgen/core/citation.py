"""How to cite: CITATION.cff, also as codemeta.json, which archives of software read."""

from __future__ import annotations

import json
from typing import Any

import yaml


def codemeta(cff: str) -> str:
    """The text of codemeta.json (vocabulary: CodeMeta 3.0) by that of CITATION.cff."""
    said = yaml.safe_load(cff)
    (paper,) = said["references"]
    meta = {
        "@context": "https://w3id.org/codemeta/3.0",
        "@type": "SoftwareSourceCode",
        "name": said["title"],
        "description": said["abstract"],
        "version": said["version"],
        "license": f"https://spdx.org/licenses/{said['license']}",
        "programmingLanguage": ["Python", "Snakemake"],
        "author": [_author(one) for one in said["authors"]],
        "referencePublication": {
            "@type": "ScholarlyArticle",
            "@id": paper["url"],
            "name": paper["title"],
            "author": [_author(one) for one in paper["authors"]],
            "datePublished": f"{paper['year']}-{paper['month']:02}",
            "isPartOf": {"@type": "Periodical", "name": paper["journal"]},
        },
    }
    return json.dumps(meta, indent=2, ensure_ascii=False) + "\n"


def _author(said: dict[str, str]) -> dict[str, Any]:
    """A person, or a group, which has but a name."""
    if "name" in said:
        return {"@type": "Organization", "name": said["name"]}
    names = {"givenName": said["given-names"], "familyName": said["family-names"]}
    return {"@type": "Person", **names}
