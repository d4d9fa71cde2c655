"""A model that a person names: a folder, or one of the hub, which is fetched once."""

from __future__ import annotations

import re
from pathlib import Path

from selfgen.config.sources import REPO
from selfgen.core import places
from selfgen.core.errors import UserError
from selfgen.data.listing import MODEL_FILES, folder_of
from selfgen.data.pins import HubSpec


def model(name: str, revision: str = "main") -> tuple[Path, str]:
    """Its folder, and the commit of one of the hub, which lies where runs look for it; else
    nothing.

    Raises UserError: neither a folder nor a name of the hub.
    """
    if Path(name).is_dir():
        return Path(name), ""
    if not re.fullmatch(REPO, name):
        raise UserError(
            f"model: found no folder {name}, allowed: one, or owner/name of the hub"
        )
    from selfgen.data import hub
    from selfgen.graph.sources import hub_name

    commit = hub.commit_of(HubSpec(name, "model", revision, MODEL_FILES))
    spec = HubSpec(name, "model", commit, MODEL_FILES)
    listing = (
        Path(places.resources(places.root())) / "hub" / f"{hub_name(spec)}.listing"
    )
    if not listing.is_file():
        print(f"fetching {name}", flush=True)
        hub.fetch(spec, listing)
    return folder_of(listing), commit
