#!/usr/bin/env python3
"""Stands in for a cluster of Elasticsearch: the three calls that docs/recipes/elasticsearch makes.

It prints its port. Shards leave an excluded node one by one, each time that they are listed.
"""

import http.server
import json

SETTING = "cluster.routing.allocation.exclude._ip"
STATE = {"status": "yellow", "settings": {SETTING: "10.9.9.9"}, "shards": ["10.0.0.1", "10.0.0.1", "10.0.0.2"]}


class Cluster(http.server.BaseHTTPRequestHandler):
    def log_message(self, *_):
        pass

    def answer(self, document, status=200):
        body = json.dumps(document).encode()
        self.send_response(status)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def do_GET(self):
        path = self.path.split("?")[0]
        if path == "/_cluster/health":
            self.answer({"status": STATE["status"]})
            STATE["status"] = "green"
        elif path == "/_cluster/settings":
            self.answer({"persistent": STATE["settings"], "transient": {}})
        elif path == "/_cat/shards":
            self.answer([{"ip": ip, "state": "STARTED"} for ip in STATE["shards"]])
            excluded = STATE["settings"].get(SETTING, "").split(",")
            for place, ip in enumerate(STATE["shards"]):
                if ip in excluded:
                    STATE["shards"][place] = "10.0.0.3"
                    break
        else:
            self.answer({"error": "no handler found for uri"}, 400)

    def do_PUT(self):
        changes = json.loads(self.rfile.read(int(self.headers["Content-Length"])))["persistent"]
        for key, value in changes.items():
            STATE["settings"].pop(key, None)
            if value is not None:
                STATE["settings"][key] = value
        self.answer({"acknowledged": True, "persistent": changes, "transient": {}})


with http.server.HTTPServer(("127.0.0.1", 0), Cluster) as server:
    print(server.server_port, flush=True)
    server.serve_forever()
