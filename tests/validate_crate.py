"""Validate an RO-Crate without the network; run by the interpreter of envs/standards.txt.

``python tests/validate_crate.py CRATE.zip SEVERITY`` prints what is wrong, a line each. The
profiles travel in the validator, the context of RO-Crate 1.1 in rocrate 0.13: it is put where
the validator looks for what it fetched.
"""

from __future__ import annotations

import importlib.resources
import sys
import tempfile
from pathlib import Path

import requests
import requests_cache
from requests.adapters import BaseAdapter
from rocrate_validator import services

CONTEXT = "https://w3id.org/ro/crate/1.1/context"


class Packaged(BaseAdapter):
    """Answers with the context that rocrate has."""

    def send(self, request, **_):
        data = importlib.resources.files("rocrate") / "data" / "ro-crate.jsonld"
        response = requests.Response()
        response.status_code, response.url, response.request = 200, CONTEXT, request
        response.headers["Content-Type"] = "application/ld+json"
        response._content = data.read_bytes()
        response.raw = requests.packages.urllib3.HTTPResponse(body=b"", status=200)
        return response

    def close(self):
        pass


def main(crate: str, severity: str) -> int:
    with tempfile.TemporaryDirectory() as folder:
        cache = Path(folder) / "cache"
        session = requests_cache.CachedSession(str(cache), backend="sqlite")
        session.mount(CONTEXT, Packaged())
        # The header with which the validator asks is no part of the key of the cache.
        session.get(CONTEXT)
        session.close()
        result = services.validate(
            {
                "rocrate_uri": crate,
                "profile_identifier": "provenance-run-crate-0.5",
                "requirement_severity": severity,
                "offline": True,
                "cache_path": cache,
            }
        )
        for issue in result.get_issues():
            print(
                f"{issue.severity.name} {issue.check.identifier}: {issue.message}"
                f" ({issue.violatingEntity or ''})"
            )
        done = result.statistics
        print(f"{len(done.passed_checks)} of {len(done.checks)} checks passed")
        return 0 if result.passed() else 1


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]))
