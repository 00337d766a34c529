"""What one client may take up of the web process: bytes of a body, time, connections, requests at work, websockets."""
