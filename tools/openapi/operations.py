"""Rpcs as OpenAPI operations: parameters, bodies, answers, errors."""
import json
import re

import headers as known_headers
from schemas import Schemas

PROBLEM_TYPE = "application/problem+json"
JSON_LINES = "application/x-ndjson"
EVENT_STREAM = "text/event-stream"

# What any request may be answered, and one with a key, a body, a write.
ANY = ["INVALID_ARGUMENT", "REQUEST_TIMEOUT", "BODY_TOO_LARGE", "URI_TOO_LONG", "EXPECTATION_FAILED", "RATE_LIMITED",
       "HEADERS_TOO_LARGE", "INTERNAL", "NOT_IMPLEMENTED", "OVERLOADED", "DEADLINE_EXCEEDED", "HTTP_VERSION_NOT_SUPPORTED"]
WITH_BODY = ["UNSUPPORTED_MEDIA_TYPE"]
WITH_WRITE = ["WRITES_UNAVAILABLE", "OUTCOME_UNKNOWN"]
WITH_IDEMPOTENCY_KEY = ["IDEMPOTENCY_IN_PROGRESS", "IDEMPOTENCY_MISMATCH"]


class Operations:
    """`errors`: the rows of the closed table, as tools/openapi/contract_facts prints them."""

    def __init__(self, contract, errors, takes_idempotency_keys):
        self._contract, self._takes_idempotency_keys = contract, takes_idempotency_keys
        self._rows = {row["code"]: row for row in errors}
        self.schemas = Schemas(contract, list(self._rows))
        self.responses, self.headers, self.parameters = {}, {}, {}
        self.schemas.components["Problem"] = self._problem()

    def operation(self, rpc, tag):
        rule = rpc.rule
        request = self._contract.messages[rpc.request]
        in_path = re.findall(r"\{(\w+)\}", rule.path)
        rest = [field for field in request.fields if field.name not in in_path and not field.http.header]
        parameters = [self._parameter(request.field(name), "path") for name in in_path]
        operation = {"operationId": rpc.name, "tags": [tag], "summary": summary(rpc.comment), "description": rpc.comment}
        if rule.body:
            in_body = rest if rule.body == "*" else [request.field(rule.body)]
            operation["requestBody"] = self._body(rpc, request, in_body)
            rest = [] if rule.body == "*" else [field for field in rest if field.name != rule.body]
        parameters += [self._parameter(field, "query") for field in rest]
        parameters += [self._header_parameter(name) for name in self._request_headers(rpc, request)]
        operation["parameters"] = parameters
        operation["responses"] = self._responses(rpc)
        operation["security"] = [{"callerKey": list(rule.scopes)}]
        return operation

    def fixed(self, name, description, answers, parameters):
        """An operation without a message and without a key."""
        responses = {}
        for status, (text, content, names) in answers.items():
            responses[str(status)] = {"description": text, "headers": self._answer_headers(["Request-Id", *names])}
            if content:
                responses[str(status)]["content"] = content
        codes = [code for code in ANY if str(self._rows[code]["status"]) not in responses]
        shown = [self._header_parameter("If-None-Match")] if 304 in answers else []
        return {"operationId": name, "tags": ["Probes"], "summary": description, "description": description,
                "parameters": [*parameters, *shown], "responses": {**responses, **self._errors(codes)}, "security": []}

    def _request_headers(self, rpc, request):
        rule = rpc.rule
        names = [field.http.header for field in request.fields if field.http.header]
        if rule.is_conditional:
            names.append("If-None-Match")
        if rule.server_sent_events:
            names.append("Last-Event-ID")
        if rule.is_write and self._takes_idempotency_keys:
            names.append("Idempotency-Key")
        return [*names, "X-Request-Timeout-Ms", "Request-Id", "traceparent"]

    def _parameter(self, field, place):
        parameter = {"name": field.json if place == "query" else field.name, "in": place, "description": field.comment,
                     "required": place == "path" or field.http.is_required, "schema": self.schemas.parameter(field)}
        if field.is_repeated or field.http.values:
            parameter |= {"style": "form", "explode": False}
        if field.http.example:
            parameter["example"] = parse_example(field)
        return parameter

    def _header_parameter(self, name):
        key = component_name(name)
        self.parameters[key] = {"name": name, "in": "header", "required": False, **known_headers.REQUEST[name]}
        return {"$ref": f"#/components/parameters/{key}"}

    def _body(self, rpc, request, in_body):
        rule = rpc.rule
        body = {"required": not rule.is_body_optional}
        if rule.json_lines:
            schema = {"type": "string", "contentMediaType": JSON_LINES,
                      "contentSchema": self.schemas.request(in_body[0].type_name)}
            return {**body, "description": in_body[0].comment, "content": {JSON_LINES: {"schema": schema}}}
        if rule.body == "*":
            content = {"application/json": {"schema": self.schemas.body(request, in_body, request.short_name + "Body")}}
            example = self._example(in_body)
        else:
            content = {media_type: {"schema": self._body_schema(in_body[0], media_type)}
                       for media_type in ["application/json", *rule.media_types]}
            example = self._example(self._parts_of(in_body[0]))
        if example:
            for media in content.values():
                media["example"] = example
        return {**body, "content": content}

    def _body_schema(self, field, media_type):
        if not field.http.parts:
            return self.schemas.request(field.type_name)
        is_merge_patch = media_type != "application/json"
        name = self._contract.messages[field.type_name].short_name + ("MergePatch" if is_merge_patch else "Update")
        return self.schemas.parts(field.type_name, field.http.parts, name, is_merge_patch)

    def _parts_of(self, field):
        names = {part.name for part in field.http.parts}
        return [part for part in self._contract.messages[field.type_name].fields if not names or part.name in names]

    def _example(self, fields):
        example = {}
        for field in fields:
            if field.http.is_output_only:
                continue
            if field.http.example:
                example[field.json] = parse_example(field)
            elif field.type_name in self._contract.messages and not self._contract.messages[field.type_name].is_map_entry:
                inner = self._example(self._contract.messages[field.type_name].fields)
                if inner:
                    example[field.json] = [inner] if field.is_repeated else inner
        return example

    def _responses(self, rpc):
        rule = rpc.rule
        names = ["Request-Id", *rule.headers]
        if rule.is_write and self._takes_idempotency_keys:
            names.append("Idempotent-Replayed")
        success = {"description": self._contract.messages[rpc.answer].comment or "Done.",
                   "headers": self._answer_headers(names), "content": self._answer_content(rpc)}
        responses = {str(rule.success_status or 200): success}
        if rule.is_conditional:
            responses["304"] = {"description": "The caller has this version already.",
                                "headers": self._answer_headers(["Request-Id", *rule.headers])}
        codes = [*ANY, "UNAUTHENTICATED", *(["PERMISSION_DENIED"] if rule.scopes else []), *rule.codes]
        codes += ["NOT_FOUND"] if "{" in rule.path else []  # what is put into the path may make another path of it
        codes += WITH_BODY if rule.body else []
        codes += WITH_WRITE if rule.is_write else []
        codes += WITH_IDEMPOTENCY_KEY if rule.is_write and self._takes_idempotency_keys else []
        if rule.body == "member" and rule.method == "POST":
            codes.append("PERMISSION_DENIED")
        return {**responses, **self._errors(codes)}

    def _answer_content(self, rpc):
        schema = self.schemas.answer(rpc.answer)
        if rpc.rule.server_sent_events:
            # Of each event; OpenAPI has no word for that before 3.2.
            data = {"type": "string", "contentMediaType": "application/json", "contentSchema": schema}
            return {EVENT_STREAM: {"schema": {"type": "object", "description": "Each event: `id` is the position, `data` the JSON.",
                                              "properties": {"id": {"type": "string"}, "data": data}}}}
        if rpc.rule.json_lines and rpc.is_stream:
            return {JSON_LINES: {"schema": {"type": "string", "description": "One a line.", "contentMediaType": JSON_LINES,
                                            "contentSchema": schema}}}
        return {"application/json": {"schema": schema}}

    def _answer_headers(self, names):
        for name in names:
            self.headers[component_name(name)] = known_headers.ANSWER[name]
        return {name: {"$ref": f"#/components/headers/{component_name(name)}"} for name in names}

    def _errors(self, codes):
        """Responses by status; a component for each set of codes that occurs."""
        by_status = {}
        for code in dict.fromkeys(codes):
            by_status.setdefault(self._rows[code]["status"], []).append(code)
        errors = {}
        for status, of_status in sorted(by_status.items()):
            name = ".".join([str(status), *of_status])
            self.responses.setdefault(name, self._error_response(status, of_status))
            errors[str(status)] = {"$ref": f"#/components/responses/{name}"}
        return errors

    def _error_response(self, status, codes):
        names = ["Request-Id"]
        names += ["Retry-After"] if status in (429, 503) else []
        names += ["WWW-Authenticate"] if status == 401 else []
        if {"MEMBER_NOT_FOUND", "IDENTITY_NOT_FOUND"} & set(codes):
            names += ["X-Muster-Source", "X-Muster-Age-Ms"]  # of a read
        schema = {"allOf": [{"$ref": "#/components/schemas/Problem"},
                            {"properties": {"code": {"enum": codes}, "status": {"const": status}}}]}
        lines = [f"{code}: {self._rows[code]['title']}{' (may be repeated)' if self._rows[code]['retryable'] else ''}."
                 for code in codes]
        headers = self._answer_headers(names)
        if "IDEMPOTENCY_IN_PROGRESS" in codes:
            headers["Retry-After"] = {"description": "Of IDEMPOTENCY_IN_PROGRESS: seconds to wait before the request is sent again.",
                                      "schema": {"type": "integer", "minimum": 1}}
        return {"description": " ".join(lines), "headers": headers,
                "content": {PROBLEM_TYPE: {"schema": schema, "example": self._problem_example(codes[0])}}}

    def _problem_example(self, code):
        row = self._rows[code]
        return {"type": f"urn:muster:problem:{code}", "title": row["title"], "status": row["status"], "code": code,
                "detail": "what happened and what to do next", "retryable": row["retryable"], "requestId": "9c1f0a7be2d35846-1"}

    def _problem(self):
        text = {"type": "string"}
        properties = {
            "type": {**text, "description": "urn:muster:problem: and the code."},
            "title": {**text, "description": "The code in a few words, always the same."},
            "status": {"type": "integer", "description": "The status of the answer."},
            "code": {**text, "enum": list(self._rows), "description": "One of the closed table."},
            "detail": {**text, "description": "What happened and what to do next."},
            "retryable": {"type": "boolean", "description": "Whether the same request may succeed later."},
            "requestId": {**text, "description": "As in Request-Id."},
            "errors": {"type": "array", "items": self.schemas.answer("muster.v1.FieldError"),
                       "description": "What is wrong in the request, and where."},
        }
        return {"type": "object", "description": "RFC 9457: why a request was not served.", "properties": properties,
                "required": [name for name in properties if name != "errors"]}


def component_name(header):
    return "".join(word[:1].upper() + word[1:] for word in header.split("-"))


def summary(comment):
    """The first sentence."""
    return re.split(r"(?<=[.:])\s", comment, maxsplit=1)[0].rstrip(".:")


def parse_example(field):
    try:
        return json.loads(field.http.example)
    except json.JSONDecodeError as error:
        raise ValueError(f"the example of {field.name} is not JSON: {error}") from error
