from django.db import migrations, models


def begin_present_halts(apps, schema_editor):
    for batch in apps.get_model("dashboard", "Batch").objects.filter(status__in=["paused", "held"]):
        since = max((at for at in (batch.steered_at, batch.held_at) if at is not None), default=batch.changed_at)
        batch.halts = [[since.isoformat(), None]]
        batch.save(update_fields=["halts"])


class Migration(migrations.Migration):
    dependencies = [
        ("dashboard", "0015_what_failed"),
    ]

    operations = [
        migrations.AddField(
            model_name="batch",
            name="halts",
            field=models.JSONField(default=list),
        ),
        migrations.RunPython(begin_present_halts, migrations.RunPython.noop),
    ]
