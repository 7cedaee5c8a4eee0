"""The console as a FastAPI application: read-only, for whoever may see plugins in the Airflow UI."""

import logging
from typing import Annotated

import psycopg2
from airflow.api_fastapi.auth.managers.models.resource_details import AccessView
from airflow.api_fastapi.core_api.security import requires_access_view
from fastapi import Depends, FastAPI, HTTPException, Path, Request, Response
from fastapi.responses import FileResponse, HTMLResponse
from psycopg2 import errors

from include.console import data, view
from include.errors import RegularsError

log = logging.getLogger(__name__)

_MEDIA_TYPES = {".css": "text/css", ".js": "text/javascript", ".svg": "image/svg+xml"}

_HEADERS = {
    # plotly.js writes its styles into the page; everything else comes from here.
    "Content-Security-Policy": "default-src 'none'; script-src 'self'; img-src 'self' data:; "
    "style-src 'self' 'unsafe-inline'; frame-ancestors 'self'; base-uri 'none'; form-action 'none'",
    "Referrer-Policy": "same-origin",
    "X-Content-Type-Options": "nosniff",
}

_EMPTY = (
    "Nothing has been published yet",
    "The warehouse holds no run so far: unpause the DAGs and trigger a backfill of regulars_ingest, "
    "or run bin/regulars demo, then reload this page.",
)


def create_app() -> FastAPI:
    """The application. Every route asks for a login, files included; every route only reads."""
    app = FastAPI(
        title="Regulars console",
        # A mounted application is public unless it asks; mounted static files would not ask.
        dependencies=[Depends(requires_access_view(AccessView.PLUGINS))],
        docs_url=None,
        redoc_url=None,
        openapi_url=None,
    )
    files = view.static_files()

    @app.get("/", response_class=HTMLResponse)
    def today() -> HTMLResponse:
        return _page(*_today())

    @app.get("/static/{name}")
    def static(name: Annotated[str, Path(pattern=r"^[\w.-]+$")], request: Request) -> Response:
        if name not in files:
            raise HTTPException(404, f"Expected one of {', '.join(sorted(files))}.")
        # The address carries the content's hash; without it, the browser asks each time.
        kept = "max-age=31536000, immutable" if request.query_params.get("v") else "no-cache"
        return FileResponse(
            files[name],
            media_type=_MEDIA_TYPES[files[name].suffix],
            headers=_HEADERS | {"Cache-Control": f"private, {kept}"},
        )

    return app


def _page(status: int, html: str) -> HTMLResponse:
    return HTMLResponse(html, status, headers=_HEADERS | {"Cache-Control": "no-store"})


def _today() -> tuple[int, str]:
    """The page and its status; whatever is wrong with the warehouse is one clear sentence."""
    try:
        with data.reading() as conn:
            found = data.today(conn)
    except RegularsError as error:
        return 503, view.message_page("The warehouse cannot be reached", str(error))
    except (errors.UndefinedTable, errors.InvalidSchemaName, errors.UndefinedColumn) as error:
        log.warning("console: %s", error)
        return 503, view.message_page(
            "The warehouse is not set up",
            "Expected the tables of the contracts, found some missing: run "
            "`bin/regulars run -m include.contracts migrate`, then reload this page.",
        )
    except errors.InsufficientPrivilege as error:
        log.warning("console: %s", error)
        return 503, view.message_page(
            "The console may not read the warehouse",
            f"Expected the connection {data.CONNECTION} to log in as regulars_console, which reads "
            "marketing and ops, found that it may not: run "
            "`bin/regulars run -m include.contracts migrate`, which grants it.",
        )
    except psycopg2.Error as error:
        log.exception("console: the warehouse answered with an error")
        reason = (str(error).strip().splitlines() or [type(error).__name__])[0]
        return 503, view.message_page(
            "The warehouse did not answer",
            f"Expected the figures of the page, found: {reason}. Reload in a minute; the API "
            "server's log has the rest.",
        )
    if found.empty:
        return 200, view.message_page(*_EMPTY)
    return 200, view.today_page(found)
