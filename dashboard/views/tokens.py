"""API tokens: list, create, revoke."""

from __future__ import annotations

from django.contrib import messages
from django.http import HttpRequest, HttpResponse, HttpResponseRedirect
from django.shortcuts import get_object_or_404, render
from django.urls import reverse
from django.utils.translation import gettext as _
from django.views.decorators.cache import never_cache
from django.views.decorators.http import require_http_methods, require_POST

from dashboard.accounts.api_tokens import request_token, revoke, shown_tokens
from dashboard.accounts.permissions import may_operate
from dashboard.errors import FieldErrors
from dashboard.forms.tokens import TokenForm
from dashboard.pages.tokens import TokensPage


@never_cache
@require_http_methods(["GET", "HEAD", "POST"])
def token_list(request: HttpRequest) -> HttpResponse:
    """Show tokens, or create one, whose text is in this response alone."""
    operates = may_operate(request.user)
    form = TokenForm(request.POST if request.method == "POST" else None, may_operate=operates)
    created, text = None, ""
    if form.is_bound and form.is_valid():
        given = form.cleaned_data
        try:
            created, text = request_token(request.user, given["name"], given["kind"], given["role"], given["queues"])
            form = TokenForm(may_operate=operates)
        except FieldErrors as error:
            for field, reasons in error.errors.items():
                form.add_error(field, reasons)
    page = TokensPage(list(shown_tokens(request.user)), form, created, text)
    return render(request, "token_list.html", {"page": page}, status=422 if form.errors else 200)


@require_POST
def token_revoke(request: HttpRequest, token_id: int) -> HttpResponse:
    """Revoke a token."""
    token = get_object_or_404(shown_tokens(request.user), pk=token_id)
    revoke(token)
    messages.success(request, _("Revoked the token “%(name)s”.") % {"name": token.name})
    return HttpResponseRedirect(reverse("token-list"))
