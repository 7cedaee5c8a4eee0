"""Registers the console in the Airflow UI: the page *Today*, for whoever is signed in."""

from urllib.parse import urlsplit

from airflow.configuration import conf
from airflow.plugins_manager import AirflowPlugin

from include.console import LazyConsole

#: Where the console is mounted, below the path at which Airflow itself is reached.
PREFIX = "/regulars"
_BASE = urlsplit(conf.get("api", "base_url", fallback="")).path.rstrip("/") + PREFIX


class RegularsConsolePlugin(AirflowPlugin):
    """One mounted application and one entry in the navigation."""

    name = "regulars_console"
    fastapi_apps = [{"app": LazyConsole(), "url_prefix": PREFIX, "name": "Regulars console"}]
    external_views = [
        {
            "name": "Today",
            "href": f"{_BASE}/",
            "destination": "nav",
            "url_route": "today",
            "icon": f"{_BASE}/static/icon.svg",
            "icon_dark_mode": f"{_BASE}/static/icon-dark.svg",
            "nav_top_level": True,
        }
    ]
