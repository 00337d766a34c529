from django.db import migrations, models


class Migration(migrations.Migration):
    dependencies = [
        ("dashboard", "0026_static_files"),
    ]

    operations = [
        migrations.AddField(
            model_name="batch",
            name="unrecorded",
            field=models.PositiveIntegerField(default=0, db_default=0),
        ),
        migrations.AddField(
            model_name="batch",
            name="lost_at",
            field=models.DateTimeField(blank=True, null=True),
        ),
    ]
