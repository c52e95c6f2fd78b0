"""Entry for a production server: `gunicorn --threads 8 app.wsgi:server`. One process is enough."""

from __future__ import annotations

import os

from app.serve import build_dashboard
from app.settings import settings_from_environment

dashboard = build_dashboard(settings_from_environment(os.environ))
server = dashboard.app.server
