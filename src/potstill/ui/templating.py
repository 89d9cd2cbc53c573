"""The templates of this room's pages."""

from __future__ import annotations

from pathlib import Path

from potstill.web.rendering import Templates

TEMPLATES = Templates(Path(__file__).parent / "templates")
"""Those in `templates/`, with what all local pages share."""
page = TEMPLATES.page
rendered = TEMPLATES.rendered
