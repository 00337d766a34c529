"""What the image is built by: the environment made slim, and the modules whose bytecode it has."""

from __future__ import annotations

import ast
import subprocess
from importlib.util import find_spec
from pathlib import Path

IMAGE = Path(__file__).parents[2] / "docs" / "deployment" / "image"
SCRIPT = "const map = '//# sourceMappingURL=kept';\n"


def test_static_files_of_a_slim_environment_can_be_collected(tmp_path: Path) -> None:
    site = tmp_path / "lib" / "python3.11" / "site-packages"
    static = site / "ninja" / "static" / "ninja"
    locales = site / "django" / "conf" / "locale", site / "django" / "contrib" / "auth" / "locale"
    languages = [locale / language for locale in locales for language in ("de", "fr")]
    for folder in (static, site / "pyarrow", site / "pygments" / "lexers", *languages):
        folder.mkdir(parents=True)
    (static / "ui.js").write_text(f"{SCRIPT}//# sourceMappingURL=ui.js.map\n")
    (static / "ui.css").write_text("a{}\n/*# sourceMappingURL=ui.css.map*/")
    (static / "ui.js.map").write_text("{}")

    subprocess.run(["sh", str(IMAGE / "slim.sh"), str(tmp_path)], check=True, timeout=60)

    assert (static / "ui.js").read_text().strip() == SCRIPT.strip(), "a comment names a map that is not there"
    assert (static / "ui.css").read_text().strip() == "a{}"
    assert not (static / "ui.js.map").exists()
    assert [each.name for locale in locales for each in locale.iterdir()] == ["de", "de"]


def test_modules_whose_bytecode_the_image_has_exist() -> None:
    script = ast.parse((IMAGE / "bytecode.py").read_text())
    (modules,) = [each.value for each in script.body if isinstance(each, ast.Assign)]
    names = ast.literal_eval(modules)
    assert [name for name in names if find_spec(name) is None] == []
    assert {"dashboard.asgi", "dashboard.cli.main", "orchestration.worker"} <= set(names)
