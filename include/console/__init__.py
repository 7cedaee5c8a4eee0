"""The console: pages inside the Airflow UI that say how the shop's marketing data stands.

- `app`: the pages; `view`: their templates; `document`: a page as one file.
- `data`: what is shown of a day; `chain`: how its stages stand; `clock`: what waits for the shop's clock.
- `segments`, `models`, `outreach`: what is shown of customers, of the value model, of sending and results.
- `charts`, `model_charts`, `outreach_charts`, `stock_charts`: plots.
"""

from collections.abc import Awaitable, Callable, MutableMapping
from typing import Any

_Scope = MutableMapping[str, Any]
_Receive = Callable[[], Awaitable[_Scope]]
_Send = Callable[[_Scope], Awaitable[None]]


class LazyConsole:
    """The console as an ASGI application that is made when it is first asked.

    Every process of Airflow loads the plugins, each task's too, and the application's imports cost
    about half a second: only the API server, which is the one that is asked, should pay for them.
    """

    def __init__(self) -> None:
        self._app: Any = None

    async def __call__(self, scope: _Scope, receive: _Receive, send: _Send) -> None:
        if self._app is None:
            from include.console.app import create_app

            self._app = create_app()
        await self._app(scope, receive, send)
