"""Repositories of the Hugging Face hub at one commit: fetched and verified.

``huggingface_hub`` lists, transfers and verifies. The loop over the files is our own, so that
a download goes on where a killed process left it (see ``_download``).
"""

from __future__ import annotations

import fnmatch
import logging
import re
import shutil
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

from selfgen.core.errors import UserError
from selfgen.core.manifests import signed
from selfgen.core.provenance import sha256, write_json
from selfgen.data.listing import folder_of
from selfgen.data.pins import HubSpec
from selfgen.data.retries import one_line, retrying

if TYPE_CHECKING:
    from selfgen.runtime.job import Job

_log = logging.getLogger(__name__)


def commit_of(spec: HubSpec) -> str:
    """The commit that a revision, such as a branch, is now.

    Raises UserError: no such repository or revision, or no leave to read it.
    """
    from huggingface_hub import HfApi

    api = HfApi()
    where: dict[str, Any] = {"repo_id": spec.repo, "repo_type": spec.kind}
    found = _asked(spec, lambda: api.repo_info(**where, revision=spec.revision).sha)
    return str(found)


def fetch(spec: HubSpec, listing: Path) -> None:
    """The files of ``spec`` in the folder beside ``listing``, which is written last.

    The token of ``huggingface_hub`` (``HF_TOKEN`` or its login) and its address
    (``HF_ENDPOINT``) hold. ``listing`` says the commit, and the size and SHA-256 of every
    file; ``selfgen.data.listing`` reads it.

    Raises:
        UserError: no such repository, revision or file, no leave to read it, no room on
            the disk, a model without safetensors, or a file that does not come or is not
            what the hub says it is.
    """
    from huggingface_hub import HfApi, utils

    utils.disable_progress_bars()  # type: ignore[attr-defined]  # a lazy export
    api, name = HfApi(), _name(spec)
    where: dict[str, Any] = {"repo_id": spec.repo, "repo_type": spec.kind}
    commit = _asked(spec, lambda: api.repo_info(**where, revision=spec.revision).sha)
    if re.fullmatch(r"[0-9a-f]{40}", spec.revision) and commit != spec.revision:
        raise UserError(f"{name}: the hub answers with another commit, {commit}")
    where["revision"] = commit
    tree = _asked(spec, lambda: list(api.list_repo_tree(**where, recursive=True)))
    files, folder = _wanted(spec, tree), folder_of(listing)
    folder.mkdir(parents=True, exist_ok=True)
    needed = sum(f.size for f in files if not (folder / f.path).exists())
    if (free := shutil.disk_usage(folder).free) < needed:
        raise UserError(
            f"{name}: needs {needed / 1e9:.1f} GB, {folder} has {free / 1e9:.1f}"
        )
    for _ in range(2):
        for file in files:
            if not (folder / file.path).exists():
                _download(spec, commit, file, folder)
        check = partial(api.verify_repo_checksums, **where, local_dir=folder)
        if not (damaged := _asked(spec, check).mismatches):
            break
        for wrong in damaged:
            (folder / wrong["path"]).unlink()
            fault = "{path}: found {algorithm} {actual}, the hub lists {expected}"
            fault = fault.format_map(wrong)
            _log.warning("%s: %s", name, fault)
    else:
        raise UserError(f"{name}: {fault}, after two downloads")
    fetched = {
        f.path: {"bytes": f.size, "sha256": sha256(folder / f.path)} for f in files
    }
    facts = {"repo": spec.repo, "kind": spec.kind, "commit": commit, "files": fetched}
    write_json(listing, signed(facts))


def _name(spec: HubSpec) -> str:
    return f"{spec.repo}@{spec.revision[:12]}"


def _wanted(spec: HubSpec, tree: list[Any]) -> list[Any]:
    """The files of a repository that match the patterns."""
    from huggingface_hub.hf_api import RepoFile

    files = {
        item.path: item
        for item in tree
        if isinstance(item, RepoFile)
        and any(fnmatch.fnmatchcase(item.path, pattern) for pattern in spec.files)
        and not (spec.kind == "model" and "/" in item.path)
    }
    for path in files:
        if path.startswith("/") or ".." in path.split("/") or "\\" in path:
            raise UserError(f"{_name(spec)}: {path!r} leads out of its folder")
    for pattern in spec.files if spec.kind == "dataset" else ():
        if not fnmatch.filter(files, pattern):
            raise UserError(f"{_name(spec)}: found no file {pattern}")
    if spec.kind == "model" and not fnmatch.filter(files, "*.safetensors"):
        raise UserError(
            f"{_name(spec)}: found no weights as safetensors, which alone are read"
        )
    return list(files.values())


def _download(spec: HubSpec, commit: str, file: Any, folder: Path) -> None:
    """One file, from where a killed process left it.

    ``snapshot_download`` and ``hf_hub_download`` no longer do that (since 1.18, by their pull
    request 4306): every call writes to a file of its own and starts from nothing.
    """
    from huggingface_hub import hf_hub_url, utils
    from huggingface_hub.file_download import http_get

    url = hf_hub_url(spec.repo, file.path, repo_type=spec.kind, revision=commit)
    path = folder / file.path
    path.parent.mkdir(parents=True, exist_ok=True)
    unfinished = path.with_name(f"{path.name}.partial")

    def go_on() -> None:
        with unfinished.open("ab") as stream:
            if (have := stream.tell()) > file.size:
                have = stream.truncate(0)
                stream.seek(0)
            _log.info("%s: %s, %d of %d B", _name(spec), file.path, have, file.size)
            headers = utils.build_hf_headers()  # type: ignore[attr-defined]  # as above
            known = {"resume_size": have, "expected_size": file.size}
            http_get(url, stream, headers=headers, **known)

    _asked(spec, go_on)
    unfinished.replace(path)


def _asked(spec: HubSpec, ask: Callable[[], Any]) -> Any:
    """What the hub answers, asked again where it fails in passing.

    Raises UserError: it refuses, or does not answer.
    """
    import httpx2
    from huggingface_hub import errors

    try:
        return retrying(_log)(ask)
    except errors.GatedRepoError:
        why = "gated: accept its terms on its page, and set HF_TOKEN"
    except errors.RepositoryNotFoundError:
        why = f"found no such {spec.kind}; one that is private needs HF_TOKEN"
    except errors.RevisionNotFoundError:
        why = f"found no revision {spec.revision}"
    except errors.OfflineModeIsEnabled:
        why = "HF_HUB_OFFLINE is set; fetching needs the hub"
    except (OSError, httpx2.HTTPError) as error:
        why = f"download failed: {one_line(error)}"
    raise UserError(f"{_name(spec)}: {why}")


def step(spec: HubSpec, job: Job) -> dict[str, Any]:
    """The files, each verified, and their listing."""
    fetch(spec, job.output("listing"))
    return {}
