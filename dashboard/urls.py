"""The site map."""

from __future__ import annotations

from django.contrib.auth.views import LoginView, LogoutView
from django.urls import URLPattern, URLResolver, path, re_path

from dashboard.api.root import unknown_address
from dashboard.api.root import urls as api_urls
from dashboard.views import (
    batch_actions,
    batch_map,
    batches,
    bulk_actions,
    comparison,
    definition_launch,
    definitions,
    error_pages,
    home,
    javascript_catalog,
    labels,
    launch,
    nodes,
    notifications,
    operations,
    passwords,
    patterns,
    preferences,
    reports,
    results,
    saved_views,
    schedule_form,
    schedules,
    suggestions,
    task_queues,
    watch,
)
from dashboard.views.health import health

handler400 = error_pages.bad_request
handler403 = error_pages.permission_denied
handler404 = error_pages.page_not_found
handler500 = error_pages.server_error

urlpatterns: list[URLPattern | URLResolver] = [
    path("", home.home, name="home"),
    path("healthz", health, name="health"),
    path("login/", LoginView.as_view(template_name="login.html", redirect_authenticated_user=True), name="login"),
    path("logout/", LogoutView.as_view(), name="logout"),
    path("password/", passwords.PasswordChange.as_view(), name="password-change"),
    path("texts/<str:language>/", javascript_catalog.javascript_catalog, name="javascript-catalog"),
    path("appearance/", preferences.appearance_set, name="appearance"),
    path("batches/", batches.batch_list, name="batch-list"),
    path("batches/bulk/", bulk_actions.batch_bulk, name="batch-bulk"),
    path("views/", saved_views.view_save, name="view-save"),
    path("views/<int:view_id>/delete/", saved_views.view_delete, name="view-delete"),
    path("batches/<str:batch_id>/", batches.batch_detail, name="batch-detail"),
    path("batches/<str:batch_id>/labels/", labels.batch_labels, name="batch-labels"),
    path("batches/<str:batch_id>/results/", results.batch_results, name="batch-results"),
    re_path(
        r"^batches/(?P<batch_id>[^/]+)/rejected\.(?P<form>csv|jsonl)$", results.batch_rejected, name="batch-rejected"
    ),
    path("batches/<str:batch_id>/errors/", batches.batch_errors, name="batch-errors"),
    path("batches/<str:batch_id>/compare/", comparison.batch_compare, name="batch-compare"),
    path("batches/<str:batch_id>/map/", batch_map.batch_map, name="batch-map"),
    path("batches/<str:batch_id>/map/starts/", batch_map.batch_map_starts, name="batch-map-starts"),
    path("batches/<str:batch_id>/map/cells/", batch_map.batch_map_cells, name="batch-map-cells"),
    path("batches/<str:batch_id>/map/table/", batch_map.batch_map_table, name="batch-map-table"),
    path("batches/<str:batch_id>/story/", batches.batch_story, name="batch-story"),
    re_path(
        r"^batches/(?P<batch_id>[^/]+)/items\.(?P<form>csv|jsonl|parquet)$", results.batch_export, name="batch-export"
    ),
    re_path(
        r"^batches/(?P<batch_id>[^/]+)/reports/(?P<number>\d{1,6})\.(?P<form>json|md)$",
        reports.report_download,
        name="report-download",
    ),
    path("batches/<str:batch_id>/diagnosis/", batches.batch_diagnosis, name="batch-diagnosis"),
    path("batches/<str:batch_id>/nodes/", nodes.batch_nodes, name="batch-nodes"),
    path("batches/<str:batch_id>/nodes/<int:node_id>/", nodes.node_detail, name="node-detail"),
    path("batches/<str:batch_id>/nodes/<int:node_id>/result/", nodes.step_result, name="step-result"),
    path("batches/<str:batch_id>/nodes/<int:node_id>/items/", nodes.node_items, name="node-items"),
    path(
        "batches/<str:batch_id>/nodes/<int:node_id>/pause/",
        batch_actions.node_pause_or_resume,
        {"action": "pause"},
        name="node-pause",
    ),
    path(
        "batches/<str:batch_id>/nodes/<int:node_id>/resume/",
        batch_actions.node_pause_or_resume,
        {"action": "resume"},
        name="node-resume",
    ),
    path("batches/<str:batch_id>/items/<int:index>/", nodes.item_detail, name="item-detail"),
    path("batches/<str:batch_id>/retry/", batch_actions.batch_retry, name="batch-retry"),
    path("batches/<str:batch_id>/operations/", operations.operation_create, name="operation-create"),
    path("batches/<str:batch_id>/operations/<str:operation_id>/", operations.operation_detail, name="operation-detail"),
    path(
        "batches/<str:batch_id>/operations/<str:operation_id>/preview/",
        operations.operation_preview,
        name="operation-preview",
    ),
    path(
        "batches/<str:batch_id>/operations/<str:operation_id>/confirm/",
        operations.operation_confirm,
        name="operation-confirm",
    ),
    path("batches/<str:batch_id>/pause/", batch_actions.batch_pause, name="batch-pause"),
    path("batches/<str:batch_id>/resume/", batch_actions.batch_resume, name="batch-resume"),
    path("batches/<str:batch_id>/skip/", batch_actions.batch_skip, name="batch-skip"),
    path("batches/<str:batch_id>/decide/", batch_actions.batch_decide, name="batch-decide"),
    path("batches/<str:batch_id>/finish/", batch_actions.batch_finish, name="batch-finish"),
    path("batches/<str:batch_id>/cancel/", batch_actions.batch_cancel, name="batch-cancel"),
    path("batches/<str:batch_id>/terminate/", batch_actions.batch_terminate, name="batch-terminate"),
    path("batches/<str:batch_id>/rollback/", batch_actions.batch_roll_back, name="batch-roll-back"),
    path("batches/<str:batch_id>/window/", batch_actions.batch_window, name="batch-window"),
    path("batches/<str:batch_id>/discard/", batch_actions.batch_discard, name="batch-discard"),
    path("notifications/", notifications.notification_list, name="notification-list"),
    path("notifications/<str:subscription_id>/delete/", notifications.subscription_delete, name="subscription-delete"),
    path("notifications/<str:subscription_id>/test/", notifications.subscription_test, name="subscription-test"),
    path("watch/", watch.workflow_watch, name="workflow-watch"),
    path("suggestions/<str:what>/", suggestions.suggestions, name="suggestions"),
    path("queues/", task_queues.queue_list, name="queue-list"),
    path("patterns/", patterns.pattern_guide, name="pattern-guide"),
    path("launch/", launch.launch_catalogue, name="launch-catalogue"),
    path("launch/definition/", definition_launch.definition_launch, name="definition-launch"),
    path(
        "launch/definition/<int:version_id>/preview/",
        definition_launch.definition_items_preview,
        name="definition-items-preview",
    ),
    path("launch/<str:name>/", launch.launch, name="launch"),
    path("launch/<str:name>/preview/", launch.launch_preview, name="launch-preview"),
    path("launch/<str:name>/schedule/", schedule_form.launch_schedule, name="launch-schedule"),
    path("schedules/", schedules.schedule_list, name="schedule-list"),
    path("schedules/new/", schedule_form.schedule_create, name="schedule-create"),
    path("schedules/preview/", schedule_form.schedule_preview, name="schedule-preview"),
    path("schedules/<str:schedule_id>/", schedules.schedule_detail, name="schedule-detail"),
    path("schedules/<str:schedule_id>/edit/", schedule_form.schedule_edit, name="schedule-edit"),
    path("schedules/<str:schedule_id>/pause/", schedules.schedule_pause, name="schedule-pause"),
    path("schedules/<str:schedule_id>/resume/", schedules.schedule_resume, name="schedule-resume"),
    path("schedules/<str:schedule_id>/trigger/", schedules.schedule_trigger, name="schedule-trigger"),
    path("schedules/<str:schedule_id>/delete/", schedules.schedule_delete, name="schedule-delete"),
    path("launch/definition/<int:version_id>/schedule/", schedule_form.schedule_saved, name="schedule-saved"),
    path("definitions/", definitions.definition_list, name="definition-list"),
    path("definitions/new/", definitions.definition_create, name="definition-create"),
    path("definitions/preview/", definitions.definition_preview, name="definition-preview"),
    path("definitions/<int:definition_id>/", definitions.definition_detail, name="definition-detail"),
    path("definitions/<int:definition_id>/edit/", definitions.definition_edit, name="definition-edit"),
    path(
        "definitions/<int:definition_id>/versions/<int:number>/",
        definitions.definition_detail,
        name="definition-version",
    ),
    path("api/v1/", api_urls()),
    re_path(r"^api/(?P<rest>.*)$", unknown_address, name="api-unknown"),
]
