"""Wheels that were fetched, read as the zip files that they are."""

from __future__ import annotations

import zipfile
from pathlib import Path, PurePosixPath

from selfgen.core.errors import UserError


def open_wheel(path: Path) -> zipfile.ZipFile:
    """The wheel as an open zip file; raises UserError if it is missing or no zip file."""
    try:
        return zipfile.ZipFile(path)
    except FileNotFoundError as error:
        raise UserError(f"{path}: no such wheel; fetch it first") from error
    except zipfile.BadZipFile as error:
        raise UserError(f"{path}: not a wheel: {error}") from error


def read_member(path: Path, member: str) -> bytes:
    """The bytes of one file of a wheel.

    Raises:
        UserError: the wheel cannot be read or has no such member, or the name leads
            out of the wheel (an absolute path, ``..``, a backslash).
    """
    name = PurePosixPath(member)
    if name.is_absolute() or ".." in name.parts or "\\" in member:
        raise UserError(f"{path}: member {member!r} leads out of the wheel")
    with open_wheel(path) as wheel:
        try:
            return wheel.read(member)
        except KeyError as error:
            raise UserError(f"{path}: no member {member!r}") from error
        except (zipfile.BadZipFile, OSError) as error:
            raise UserError(f"{path}: cannot read {member!r}: {error}") from error
