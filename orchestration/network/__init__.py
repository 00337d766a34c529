"""How HTTP clients reach others: the certificate authorities they trust, and the proxies on their way."""
