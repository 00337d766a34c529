from django.db import migrations
from django.db.models import OuterRef, Q, Subquery


def note_root_status(apps, schema_editor):
    nodes = apps.get_model("dashboard", "Node").objects.filter(kind="root", batch=OuterRef("pk")).order_by("pk")
    batches = apps.get_model("dashboard", "Batch").objects.filter(
        pk__in=Subquery(apps.get_model("dashboard", "Node").objects.filter(kind="root").values("batch"))
    )
    batches.update(root_status=Subquery(nodes.values("status")[:1]))


def tell_failed_from_partially_failed(apps, schema_editor):
    batches = apps.get_model("dashboard", "Batch").objects
    nothing = batches.filter(status="completed_with_failures", children_completed=0, items_completed=0)
    has_failures = Q(children_failed__gt=0) | Q(children_timed_out__gt=0) | Q(children_terminated__gt=0)
    nothing.filter(has_failures).update(status="failed")
    nothing.filter(~has_failures, children_canceled__gt=0).update(status="canceled")


class Migration(migrations.Migration):
    dependencies = [
        ("dashboard", "0014_root_status"),
    ]

    operations = [
        migrations.RunPython(note_root_status, migrations.RunPython.noop),
        migrations.RunPython(tell_failed_from_partially_failed, migrations.RunPython.noop),
    ]
