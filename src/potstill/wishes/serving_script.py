"""The script that serves a finished classifier with a page: the standard library and the model's runtime are enough."""

SCRIPT = '''"""Serves the classifier in the folder `model` on this machine: python serve.py [PORT].

GET / is a page to try it; POST / with {"texts": [...]} returns a label and probabilities for each text.
"""

import json
import os
import sys
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

HERE = Path(__file__).resolve().parent
os.chdir(HERE / "model")
sys.path.insert(0, str(HERE))

import classify

NAMES = json.loads(Path("config.json").read_text(encoding="utf-8"))["id2label"]
MOST = 1_000_000
PAGE = """<!doctype html><html lang="en"><meta charset="utf-8"><title>Classifier</title>
<style>body{font:1rem sans-serif;max-width:40rem;margin:2rem auto;padding:0 1rem}
textarea{width:100%;height:8rem}</style>
<h1>Try the classifier</h1><label for="text">A text</label><textarea id="text"></textarea>
<p><button id="ask">Classify</button></p><ul id="said" aria-live="polite"></ul>
<script>
document.getElementById("ask").onclick = async () => {
  const texts = [document.getElementById("text").value];
  const headers = {"Content-Type": "application/json"};
  const answer = await fetch("/", {method: "POST", headers, body: JSON.stringify({texts})});
  const shares = Object.entries((await answer.json())[0].probabilities).sort((a, b) => b[1] - a[1]);
  const list = document.getElementById("said");
  list.replaceChildren(...shares.map(([name, share]) => {
    const item = document.createElement("li");
    item.textContent = name + ": " + (100 * share).toFixed(1) + " %";
    return item;
  }));
};
</script></html>"""


def classified(texts):
    """Return a label and all probabilities for each text."""
    answers = []
    for shares in classify.read(texts) if texts else []:
        by_name = {NAMES[str(place)]: float(share) for place, share in enumerate(shares)}
        answers.append({"label": max(by_name, key=by_name.get), "probabilities": by_name})
    return answers


class Handler(BaseHTTPRequestHandler):
    """Answers the page and its questions."""

    def do_GET(self):
        self.answer(200, PAGE.encode(), "text/html; charset=utf-8")

    def do_POST(self):
        # a page of another site can send no JSON here without being asked first, which is not answered
        if self.headers.get_content_type() != "application/json" or not self.is_here():
            return self.answer(403, b"{}", "application/json")
        try:
            length = int(self.headers.get("Content-Length", 0))
            texts = json.loads(self.rfile.read(min(length, MOST)))["texts"]
            if not isinstance(texts, list) or not all(isinstance(text, str) for text in texts):
                raise ValueError
        except (ValueError, KeyError, TypeError):
            return self.answer(400, b\'{"error": "send {\\\\"texts\\\\": [...]}"}\', "application/json")
        return self.answer(200, json.dumps(classified(texts)).encode(), "application/json")

    def is_here(self):
        """Return whether the request was meant for this machine by name, not for a site that points here."""
        return self.headers.get("Host", "").rsplit(":", 1)[0] in ("127.0.0.1", "localhost")

    def answer(self, status, body, kind):
        self.send_response(status)
        self.send_header("Content-Type", kind)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)


if __name__ == "__main__":
    server = ThreadingHTTPServer(("127.0.0.1", int(sys.argv[1]) if len(sys.argv) > 1 else 8765), Handler)
    print(f"http://127.0.0.1:{server.server_port}", flush=True)
    try:
        server.serve_forever()
    except KeyboardInterrupt:
        pass
'''
