"""The site map."""

from __future__ import annotations

from django.contrib.auth.views import LoginView, LogoutView
from django.urls import URLPattern, URLResolver, path
from django.views.generic import RedirectView

from dashboard.views import batches, nodes

urlpatterns: list[URLPattern | URLResolver] = [
    path("", RedirectView.as_view(pattern_name="batch-list"), name="home"),
    path("login/", LoginView.as_view(template_name="login.html", redirect_authenticated_user=True), name="login"),
    path("logout/", LogoutView.as_view(), name="logout"),
    path("batches/", batches.batch_list, name="batch-list"),
    path("batches/<str:batch_id>/", batches.batch_detail, name="batch-detail"),
    path("batches/<str:batch_id>/audit/", batches.batch_audit, name="batch-audit"),
    path("batches/<str:batch_id>/nodes/", nodes.batch_nodes, name="batch-nodes"),
    path("batches/<str:batch_id>/nodes/<int:node_id>/", nodes.node_detail, name="node-detail"),
    path("batches/<str:batch_id>/nodes/<int:node_id>/items/", nodes.node_items, name="node-items"),
]
