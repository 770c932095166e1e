"""Stands in for worker and gateway where only the stack is tested: answers on a port, tells its settings."""

import sys
from http.server import BaseHTTPRequestHandler, HTTPServer

from runtime.settings import Settings
from runtime.temporal import connection


class Health(BaseHTTPRequestHandler):
    def do_GET(self) -> None:
        self.send_response(200)
        self.end_headers()


def main(port: int) -> None:
    settings = Settings.load()
    sys.stdout.write(f"database {settings.database()}\ntemporal {connection(settings)['target_host']}\n")
    HTTPServer(("127.0.0.1", port), Health).serve_forever()
