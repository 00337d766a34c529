"""A person's own password."""

from __future__ import annotations

from typing import Any

from django.contrib import messages
from django.contrib.auth.models import User
from django.contrib.auth.views import PasswordChangeView
from django.http import HttpRequest, HttpResponse
from django.urls import reverse_lazy
from django.utils.translation import gettext as _

from dashboard.accounts.sessions import IS_FIRST, password_is_own
from dashboard.server.shared_throttle import SharedThrottle

WRONG_PASSWORDS = SharedThrottle("wrong-passwords", limit=10, seconds=900)
"""Wrong passwords of a person who is logged in: a session alone must not find the password out."""


class PasswordChange(PasswordChangeView):
    """Show the form, or set the password that it has. All other sessions of the person end."""

    template_name = "password_change.html"
    success_url = reverse_lazy("home")

    def post(self, request: HttpRequest, *given: Any, **more: Any) -> HttpResponse:
        """Look at the form, unless too many wrong passwords have come."""
        if not WRONG_PASSWORDS.retry_after(str(request.user.pk)):
            return super().post(request, *given, **more)
        assert isinstance(request.user, User)
        form = self.get_form_class()(user=request.user)
        page = self.render_to_response(self.get_context_data(form=form), status=429)
        messages.error(request, _("Too many wrong passwords: try again in a quarter of an hour."))
        return page

    def form_valid(self, form: Any) -> HttpResponse:
        """Save the password and go home."""
        response = super().form_valid(form)
        assert isinstance(self.request.user, User)
        password_is_own(self.request, self.request.user)
        messages.success(self.request, _("Password changed."))
        return response

    def form_invalid(self, form: Any) -> HttpResponse:
        """Show what is wrong, and count a wrong password."""
        if form.data.get("old_password") and "old_password" in form.errors:
            WRONG_PASSWORDS.take(str(self.request.user.pk))
        return self.render_to_response(self.get_context_data(form=form), status=422)

    def get_context_data(self, **given: Any) -> dict[str, Any]:
        """Add whether this has to be done before anything else."""
        return super().get_context_data(is_first=self.request.session.get(IS_FIRST, False), **given)
