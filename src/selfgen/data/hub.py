"""Repositories of the Hugging Face hub at one commit: fetched, verified, read as data.

``huggingface_hub`` lists and downloads. What it does not do is done here: a download goes on
where a killed process left it, an answer of 5xx is asked for again, and every file is held
against the hash that the hub lists for its commit.
"""

from __future__ import annotations

import fnmatch
import hashlib
import json
import logging
import re
import shutil
import time
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import Any

from selfgen.core.errors import UserError
from selfgen.data.wheels import sha256_file


@dataclass(frozen=True)
class HubSpec:
    """Files of a repository of the Hugging Face hub (``model`` or ``dataset``), by patterns
    of their paths, at a revision."""

    repo: str
    kind: str
    revision: str
    files: tuple[str, ...]


_log = logging.getLogger(__name__)

MODEL_FILES = (
    "config.json",
    "generation_config.json",
    "model*.safetensors",
    "model.safetensors.index.json",
    "tokenizer.json",
    "tokenizer.model",
    "tokenizer_config.json",
    "special_tokens_map.json",
    "added_tokens.json",
    "vocab.json",
    "merges.txt",
    "chat_template.jinja",
)
"""What is fetched of a model: no code, and weights as safetensors only."""

ATTEMPTS = 5
"""Downloads of a file that may fail in passing; a second is waited after the first, two
after the second, four after the third, ..."""


def fetch(spec: HubSpec, listing: Path) -> None:
    """The files of ``spec`` in the folder beside ``listing``, which is written last.

    The token of ``huggingface_hub`` (``HF_TOKEN`` or its login) and its address
    (``HF_ENDPOINT``) hold. ``listing`` says the commit, and the size and SHA-256 of every
    file; ``read`` gives their paths.

    Raises:
        UserError: no such repository, revision or file, no leave to read it, no room on
            the disk, a model without safetensors, or a file that does not come or is not
            what the hub says it is.
    """
    from huggingface_hub.utils import disable_progress_bars

    disable_progress_bars()
    commit, files = _listed(spec)
    folder = _folder(listing)
    folder.mkdir(parents=True, exist_ok=True)
    missing = sum(f.size for f in files if not (folder / f.path).exists())
    if (free := shutil.disk_usage(folder).free) < missing:
        raise UserError(
            f"{_name(spec)}: needs {missing / 1e9:.1f} GB, {folder} has {free / 1e9:.1f}"
        )
    found = {}
    for number, file in enumerate(files, 1):
        _log.info(
            "%s: file %d of %d, %s, %.1f MB",
            *(_name(spec), number, len(files), file.path, file.size / 1e6),
        )
        path = folder / file.path
        if not (path.exists() and _is_right(path, file)):
            _download(spec, commit, file, path)
        found[file.path] = {"bytes": file.size, "sha256": sha256_file(path)}
    text = {"repo": spec.repo, "kind": spec.kind, "commit": commit, "files": found}
    partial = listing.with_name(f".{listing.name}.partial")
    partial.write_text(json.dumps(text, indent=1) + "\n", encoding="utf-8")
    partial.replace(listing)


def read(listing: Path) -> dict[str, Path]:
    """The files of a listing by their path in the repository.

    Raises UserError: it is no listing, or a file is missing or has another size.
    """
    try:
        files = json.loads(listing.read_text(encoding="utf-8"))["files"]
        sizes = {name: file["bytes"] for name, file in files.items()}
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise UserError(f"{listing}: no listing of fetched files: {error}") from None
    found = {name: _folder(listing) / name for name in sizes}
    for name, path in found.items():
        if not path.is_file() or path.stat().st_size != sizes[name]:
            raise UserError(
                f"{path}: missing or not of {sizes[name]} bytes; delete {listing.name}"
                " beside its folder to fetch it again"
            )
    return found


def _folder(listing: Path) -> Path:
    return listing.with_suffix("")


def _name(spec: HubSpec) -> str:
    return f"{spec.repo}@{spec.revision[:12]}"


def _listed(spec: HubSpec) -> tuple[str, list[Any]]:
    """The commit and the wanted files, in the order of their paths."""
    from huggingface_hub import HfApi
    from huggingface_hub.hf_api import RepoFile

    api = HfApi()
    where = {"repo_id": spec.repo, "repo_type": spec.kind}
    commit = _asked(
        spec, lambda: api.repo_info(**where, revision=spec.revision).sha or ""
    )
    if re.fullmatch(r"[0-9a-f]{40}", spec.revision) and commit != spec.revision:
        raise UserError(f"{_name(spec)}: the hub answers with another commit, {commit}")
    tree = _asked(
        spec, lambda: list(api.list_repo_tree(**where, revision=commit, recursive=True))
    )
    files = sorted(
        (
            file
            for file in tree
            if isinstance(file, RepoFile)
            and not (spec.kind == "model" and "/" in file.path)
            and any(fnmatch.fnmatchcase(file.path, pattern) for pattern in spec.files)
        ),
        key=lambda file: file.path,
    )
    for file in files:
        parts = PurePosixPath(file.path)
        if parts.is_absolute() or ".." in parts.parts or "\\" in file.path:
            raise UserError(f"{_name(spec)}: {file.path!r} leads out of its folder")
    for pattern in spec.files if spec.kind == "dataset" else ():
        if not any(fnmatch.fnmatchcase(file.path, pattern) for file in files):
            raise UserError(f"{_name(spec)}: found no file {pattern}")
    weights = [file for file in files if file.path.endswith(".safetensors")]
    if spec.kind == "model" and not weights:
        raise UserError(
            f"{_name(spec)}: found no weights as safetensors, which alone are read"
        )
    return commit, files


def _asked(spec: HubSpec, ask: Any) -> Any:
    """What the hub answers, asked again where it fails in passing."""
    for attempt in range(ATTEMPTS):
        try:
            return ask()
        except Exception as error:
            _give_up(spec, error, attempt)


def _download(spec: HubSpec, commit: str, file: Any, path: Path) -> None:
    """One file, fetched a second time if it came with another hash."""
    from huggingface_hub import hf_hub_url

    url = hf_hub_url(spec.repo, file.path, repo_type=spec.kind, revision=commit)
    path.parent.mkdir(parents=True, exist_ok=True)
    partial = path.with_name(f"{path.name}.partial")
    said = f"{file.path} has not the hash that the hub lists"
    for _ in range(2):
        _asked(spec, lambda: _continue(url, partial, file.size))
        if _is_right(partial, file):
            partial.replace(path)
            return
        partial.unlink()
        _log.warning("%s: %s", _name(spec), said)
    raise UserError(f"{_name(spec)}: {said}, after two downloads")


def _continue(url: str, partial: Path, size: int) -> None:
    """What is missing in ``partial`` of the ``size`` bytes at ``url``."""
    from huggingface_hub.file_download import http_get
    from huggingface_hub.utils import build_hf_headers

    with partial.open("ab") as stream:
        if stream.tell() > size:
            stream.truncate(0)
            stream.seek(0)
        if have := stream.tell():
            _log.info("going on after %.1f MB", have / 1e6)
        headers = build_hf_headers()
        http_get(url, stream, resume_size=have, headers=headers, expected_size=size)


def _give_up(spec: HubSpec, error: Exception, attempt: int) -> None:
    """Wait before the next attempt; raises what the user is told where none would help."""
    import httpx2
    from huggingface_hub import errors

    name = _name(spec)
    if isinstance(error, errors.GatedRepoError):
        raise UserError(
            f"{name}: gated: accept its terms on its page, and set HF_TOKEN"
        ) from None
    if isinstance(error, errors.RepositoryNotFoundError):
        raise UserError(
            f"{name}: found no such {spec.kind}; one that is private needs HF_TOKEN"
        ) from None
    if isinstance(error, errors.RevisionNotFoundError):
        raise UserError(f"{name}: found no revision {spec.revision}") from None
    if isinstance(error, errors.OfflineModeIsEnabled):
        raise UserError(
            f"{name}: HF_HUB_OFFLINE is set; fetching needs the hub"
        ) from None
    if not isinstance(error, OSError | httpx2.HTTPError):
        raise error
    status = getattr(getattr(error, "response", None), "status_code", 500)
    said = " ".join(str(error).split())[:200]
    if attempt == ATTEMPTS - 1 or not (status >= 500 or status in (408, 429)):
        raise UserError(f"{name}: download failed: {said}") from None
    _log.warning("%s: %s; trying again in %d s", name, said, 2**attempt)
    time.sleep(2**attempt)


def _is_right(path: Path, file: Any) -> bool:
    """Whether a file has the size and the hash that the hub lists: SHA-256 where it is a
    large file, else git's of a blob."""
    if path.stat().st_size != file.size:
        return False
    if file.lfs:
        return sha256_file(path) == file.lfs.sha256
    blob = hashlib.sha1(b"blob %d\0" % file.size, usedforsecurity=False)
    blob.update(path.read_bytes())
    return blob.hexdigest() == file.blob_id
