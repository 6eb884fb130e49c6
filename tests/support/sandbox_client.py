"""A client of the sandbox with a token, as plain as can be."""

import json
from base64 import b64encode

from tests.support.openapi_contract import contract, dialect_of

PAIR = b"sandbox-client:sandbox-secret"
FORM = {"grant_type": "client_credentials"}


class SandboxClient:
    """Makes requests as they are written; ``last`` is the last answer.

    Each answer of the API is compared with the OpenAPI document.
    """

    token_path = ""

    def __init__(self, session, sandbox):
        self.session, self.sandbox, self.headers = session, sandbox, {}

    async def token(self, pair=PAIR, form=FORM):
        """Request a token, and use it from now on; return status and body."""
        basic = {"Authorization": "Basic " + b64encode(pair).decode()}
        url = self.sandbox.url + self.token_path
        async with self.session.post(url, headers=basic, data=form) as answer:
            self._compare("POST", self.token_path, answer, await answer.text())
            body = await answer.json()
            if answer.status == 200:
                self.headers = {"Authorization": "Bearer " + body["access_token"]}
            return answer.status, body

    async def call(self, method, path, body=None, *, url=None):
        """Make one request; return the status, and the body as JSON if it is that."""
        async with self.session.request(
            method,
            (url or self.sandbox.url) + path,
            json=body,
            headers=self.headers,
            allow_redirects=False,
        ) as answer:
            text = await answer.text()
            if url is None:
                self._compare(method, path, answer, text)
            if answer.content_type == "application/json" and text:
                text = json.loads(text)
            self.last = answer
            return answer.status, text

    def _compare(self, method, path, answer, text):
        document = contract(dialect_of(self.token_path))
        document.check(method, path, answer.status, answer.headers, text)
