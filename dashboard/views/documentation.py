"""The site of docs/ at /docs, as `make docs` or the build of a wheel has made it."""

from __future__ import annotations

import mimetypes
from pathlib import Path, PurePosixPath

from django.http import Http404, HttpRequest, HttpResponse, HttpResponseRedirect
from django.shortcuts import render
from django.views.decorators.http import require_safe

from dashboard.resources import SITE

HASHED = ("assets/javascripts/", "assets/stylesheets/", "assets/inline/")
"""Folders of files whose names change with what is in them."""

KEPT = "private, max-age=86400, immutable"

PAGE = "index.html"


@require_safe
def documentation(request: HttpRequest, rest: str) -> HttpResponse:
    """Return a file of the site; the address of a folder is that of its page. Without a site, say how to build it."""
    if not (SITE / PAGE).is_file():
        return render(request, "documentation_missing.html", status=404)
    path = _inside(rest)
    if path.is_dir():
        if rest and not rest.endswith("/"):
            return HttpResponseRedirect(f"{request.path}/")
        path /= PAGE
    if not path.is_file():
        raise Http404("The documentation has no such page.")
    response = HttpResponse(path.read_bytes(), content_type=mimetypes.guess_type(path.name)[0] or "text/plain")
    if rest.startswith(HASHED):
        response["Cache-Control"] = KEPT
    return response


def _inside(name: str) -> Path:
    """Return the path of a name below the site. Raises Http404 for one that leads elsewhere."""
    parts = PurePosixPath(name).parts
    if "\0" in name or ".." in parts or name.startswith("/"):
        raise Http404("The documentation has no such page.")
    return SITE.joinpath(*parts)
