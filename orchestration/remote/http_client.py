"""The HTTP client of a dashboard's API, with an operator's token."""

from __future__ import annotations

from typing import Any

import httpx


def bearer_client(url: str, token: str, *, timeout: float) -> httpx.Client:
    """Return a client of the dashboard at an address; `timeout` in seconds. Proxies of the environment are not used."""
    headers = {"Authorization": f"Bearer {token}"}
    return httpx.Client(base_url=url.rstrip("/"), headers=headers, timeout=timeout, trust_env=False)


def post_json(client: httpx.Client, path: str, body: bytes, **query: Any) -> httpx.Response:
    """Post a body that is JSON already. Raises httpx.HTTPError where there is no answer."""
    return client.post(path, content=body, params=query, headers={"Content-Type": "application/json"})
