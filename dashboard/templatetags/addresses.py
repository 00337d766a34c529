"""Tags for addresses that the site map has not: websockets, and static files on pages that say what went wrong."""

from __future__ import annotations

from django import template

from dashboard.server.sockets import batch_address, batches_address
from dashboard.server.static_storage import plain_address

register = template.Library()

register.simple_tag(batches_address, name="live_batches")
register.simple_tag(batch_address, name="live_batch")
register.simple_tag(plain_address, name="plain_static")
