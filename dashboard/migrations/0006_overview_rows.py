from django.db import migrations


def note_durations(apps, schema_editor):
    nodes = apps.get_model("dashboard", "Node").objects
    closed = nodes.filter(duration=None, started_at__isnull=False, closed_at__isnull=False)
    while some := list(closed[:2000]):
        for node in some:
            node.duration = max(0.0, (node.closed_at - node.started_at).total_seconds())
        nodes.bulk_update(some, ["duration"], batch_size=500)


def have_no_signature(apps, schema_editor):
    for name in ("Node", "Item"):
        apps.get_model("dashboard", name).objects.filter(signature="").update(signature=None)


class Migration(migrations.Migration):
    dependencies = [
        ("dashboard", "0005_overview"),
    ]

    operations = [
        migrations.RunPython(note_durations, migrations.RunPython.noop),
        migrations.RunPython(have_no_signature, migrations.RunPython.noop),
    ]
