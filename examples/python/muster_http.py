"""A client of muster's HTTP API with nothing but the standard library, and what every client has to do about failures.

* One deadline a call, over all its attempts: each attempt tells the server what is left (X-Request-Timeout-Ms).
* Repeated is only what may be: an error that says `retryable`, or a connection that broke, and of those a write only with
  its Idempotency-Key, the same for every attempt, so that it is done once.
* Between attempts: what Retry-After asks for, and exponential back-off with full jitter, so that callers spread out.
* A budget: retries are at most a tenth of all calls in the long run, so that they never become the overload themselves.

Not for several threads: one Client each, with the budget shared.
"""
import http.client
import json
import random
import time
import urllib.parse
import uuid

BACKOFF_BASE_S, BACKOFF_MAX_S = 0.05, 2.0
ATTEMPTS_MAX = 6


class MusterError(Exception):
    """A problem as the server told it, or TRANSPORT when there was no answer."""

    def __init__(self, code, detail, retryable, retry_after_s=0.0):
        super().__init__(f"{code}: {detail}")
        self.code, self.detail, self.retryable, self.retry_after_s = code, detail, retryable, retry_after_s


class RetryBudget:
    """Every call puts in a tenth of a retry, every retry takes out a whole one."""

    def __init__(self, share=0.1, most=10.0):
        self.share, self.most, self.left = share, most, most

    def on_call(self):
        self.left = min(self.most, self.left + self.share)

    def take(self):
        if self.left < 1.0:
            return False
        self.left -= 1.0
        return True


class Client:
    def __init__(self, address, key, budget=None, deadline_s=5.0):
        host, port = address.rsplit(":", 1)
        self._connection = http.client.HTTPConnection(host, int(port))
        self._key, self._budget, self._deadline_s = key, budget or RetryBudget(), deadline_s

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self._connection.close()

    # The API. Numbers of 64 bits are texts in JSON; a member's version is its ETag.

    def resolve(self, kind, value, platform=None):
        query = {"kind": kind, "value": value, **({"platform": platform} if platform else {})}
        return self.call("GET", "/v1/members:resolve?" + urllib.parse.urlencode(query))

    def register(self, member):
        return self.call("POST", "/v1/members", member)

    def bind(self, member, identity):
        """Only if nobody changed the member since it was read; VERSION_MISMATCH: read again and decide anew."""
        return self.call("POST", f"/v1/members/{member['id']}:bind", {"identity": identity},
                         {"If-Match": f'"{member["version"]}"'})

    def get(self, member_id, min_version="0"):
        return self.call("GET", f"/v1/members/{member_id}?minVersion={min_version}")

    def call(self, method, path, body=None, headers=None):
        """One call with all its attempts; the JSON of its answer. Raises MusterError."""
        end = time.monotonic() + self._deadline_s
        sent = {"Authorization": f"Bearer {self._key}", **(headers or {})}
        if method != "GET":
            # Made once for the call, not for the attempt: this is what makes a repetition safe.
            sent["Idempotency-Key"] = f'"{uuid.uuid4()}"'
        if body is not None:
            sent["Content-Type"] = "application/json"
        self._budget.on_call()
        for attempt in range(ATTEMPTS_MAX):
            try:
                return self._attempt(method, path, body, sent, end)
            except MusterError as error:
                wait = max(error.retry_after_s, random.uniform(0, min(BACKOFF_MAX_S, BACKOFF_BASE_S * 2**attempt)))
                is_last = attempt + 1 == ATTEMPTS_MAX or time.monotonic() + wait >= end
                if not error.retryable or is_last or not self._budget.take():
                    raise
            time.sleep(wait)
        raise AssertionError("the last attempt returns or raises")

    def _attempt(self, method, path, body, headers, end):
        left_s = end - time.monotonic()
        if left_s <= 0:
            raise MusterError("DEADLINE_EXCEEDED", "the call's own deadline passed", retryable=False)
        self._connection.timeout = left_s
        if self._connection.sock is not None:
            self._connection.sock.settimeout(left_s)
        try:
            self._connection.request(method, path, None if body is None else json.dumps(body),
                                     {**headers, "X-Request-Timeout-Ms": str(max(1, int(left_s * 1000)))})
            answer = self._connection.getresponse()
            content = answer.read()
        except (OSError, http.client.HTTPException) as error:
            self._connection.close()  # opened again by the next attempt
            raise MusterError("TRANSPORT", type(error).__name__, retryable=True) from error
        if answer.status < 300:
            return json.loads(content)
        return self._raise(answer, content)

    @staticmethod
    def _raise(answer, content):
        retry_after_s = float(answer.getheader("Retry-After") or 0)
        if answer.getheader("Content-Type", "").startswith("application/problem+json"):
            problem = json.loads(content)
            raise MusterError(problem["code"], problem["detail"], problem["retryable"], retry_after_s)
        # Something between here and the server answered.
        raise MusterError("TRANSPORT", f"status {answer.status}", answer.status in (429, 502, 503, 504), retry_after_s)
