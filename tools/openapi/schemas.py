"""Messages as JSON schemas: what an answer holds, and what a request may hold.

Two schemas for a message that is both: a request may give numbers of 64 bits as JSON numbers and null for what is absent
(proto3's mapping), must not give what the server sets, and names no field that the contract lacks; an answer may get new
fields, so its readers have to skip those that they do not know.
"""
from decimals import INT64_MAX, decimal_pattern
from descriptors import INT32, INT64, FieldType

NO_CONTROLS = r"^[^\u0000-\u001f\u007f-\u009f]*$"
NO_NUL = r"^[^\u0000]*$"
# Formats of whose values a caller knows nothing, or which are read leniently: no rule about characters but that of NUL.
FREE_FORMATS = {"identity-value", "member-filter", "member-order"}
PREFIX = "#/components/schemas/"


class Schemas:
    def __init__(self, contract, error_codes):
        self._contract, self._error_codes = contract, error_codes
        self.components = {}

    # References to components, which are made when they are first asked for.
    def answer(self, full_name):
        message = self._contract.messages[full_name]
        return self._component(message.short_name, lambda: self._object(message, self._answer_field, is_answer=True))

    def request(self, full_name):
        message = self._contract.messages[full_name]
        name = message.short_name if message.short_name.endswith("Request") else message.short_name + "Input"
        return self._component(name, lambda: self._object(message, self._request_field))

    def parts(self, full_name, parts, name, null_clears=False):
        """The fields of a message that are looked at; the others may be there to be ignored."""
        message = self._contract.messages[full_name]
        looked_at = {part.name: part for part in parts}

        def field_schema(field):
            part = looked_at.get(field.name)
            if part is None:
                return {"readOnly": True, "description": field.comment}
            if part.takes_any_text:
                schema = {"type": "string", "pattern": NO_NUL}
                return schema if field.http.is_required else nullable(schema)
            schema = self._request_field(field, list(part.values))
            return not_null(schema) if null_clears and part.values else schema
        return self._component(name, lambda: self._object(message, field_schema, hides_output_only=False))

    def body(self, message, fields, name):
        """The body of a request: those of its fields that travel in it."""
        return self._component(name, lambda: self._object(message, self._request_field, fields=fields))

    def parameter(self, field):
        """A field as a parameter of the path or of the query, where everything is a text."""
        http = field.http
        if field.type_name == "google.protobuf.FieldMask":
            return {"type": "array", "minItems": 1, "uniqueItems": True, "items": {"type": "string"},
                    "anyOf": [{"items": {"enum": list(http.values)}}, {"items": {"const": "*"}, "maxItems": 1}]}
        schema = not_null(self._scalar(field, is_request=True, is_text=True))
        if field.is_repeated:
            schema = {"type": "array", "items": schema, **self._count(http)}
        return schema

    def _component(self, name, make):
        if name not in self.components:
            self.components[name] = {}  # a message may hold itself
            self.components[name] = make()
        return {"$ref": PREFIX + name}

    def _object(self, message, field_schema, fields=None, is_answer=False, hides_output_only=True):
        properties, required = {}, []
        for field in message.fields if fields is None else fields:
            schema = field_schema(field)
            if not is_answer and hides_output_only and field.http.is_output_only:
                schema = {**schema, "readOnly": True}
            properties[field.json] = described(schema, field)
            if field.http.is_always_answered if is_answer else field.http.is_required:
                required.append(field.json)
        schema = {"type": "object", "description": message.comment, "properties": properties}
        if not message.comment:
            del schema["description"]
        if required:
            schema["required"] = required
        if is_answer and message.has_oneof:
            schema["oneOf"] = [{"required": [field.json]} for field in message.fields if field.is_in_oneof]
        if not is_answer:
            schema["additionalProperties"] = False
        return schema

    def _answer_field(self, field):
        entry = self._map_entry(field)
        if entry:
            return {"type": "object", "additionalProperties": self._scalar(entry.field("value"), False, http=field.http),
                    **self._count(field.http, "Properties")}
        if field.type == FieldType.TYPE_MESSAGE and field.type_name in self._contract.messages:
            schema = self.answer(field.type_name)
        elif field.type == FieldType.TYPE_ENUM:
            schema = self._enumeration(field.type_name)
        else:
            schema = self._scalar(field, is_request=False)
        return {"type": "array", "items": schema, **self._count(field.http)} if field.is_repeated else schema

    def _request_field(self, field, values=()):
        http = field.http
        entry = self._map_entry(field)
        if entry:
            names = {"minLength": 1, **self._length(http.max_name_bytes), "pattern": NO_CONTROLS}
            schema = {"type": "object", "propertyNames": names, **self._count(http, "Properties"),
                      "additionalProperties": not_null(self._scalar(entry.field("value"), True, http=http))}
            return nullable(schema)
        if field.type == FieldType.TYPE_MESSAGE and field.type_name in self._contract.messages:
            name = self._contract.messages[field.type_name].short_name + ("BatchKey" if field.is_repeated else "Key")
            schema = self.parts(field.type_name, http.parts, name) if http.parts else self.request(field.type_name)
        elif field.type == FieldType.TYPE_ENUM:
            names = [name for name, _ in self._contract.enumerations[field.type_name].values]
            schema = {"type": "string", "enum": list(values) or (names if http.takes_zero_value else names[1:])}
        else:
            schema = self._scalar(field, is_request=True)
        if field.is_repeated:
            schema = {"type": "array", "items": schema, **self._count(http)}
        return schema if http.is_required else nullable(schema)

    def _map_entry(self, field):
        message = self._contract.messages.get(field.type_name) if field.is_repeated else None
        return message if message and message.is_map_entry else None

    def _enumeration(self, full_name):
        enumeration = self._contract.enumerations[full_name]
        lines = [f"{name}: {comment}" for name, comment in enumeration.values if comment]
        schema = {"type": "string", "enum": [name for name, _ in enumeration.values[1:]]}
        if lines or enumeration.comment:
            schema["description"] = " ".join([enumeration.comment, *lines]).strip()
        return self._component(enumeration.short_name, lambda: schema)

    def _scalar(self, field, is_request, is_text=False, http=None):
        http = http or field.http
        if field.type_name == "google.protobuf.Timestamp":
            return {"type": "string", "format": "date-time"}
        if field.type_name == "google.protobuf.Duration":
            return {"type": "string", "pattern": f"^({decimal_pattern(http.min_seconds, http.max_seconds)})s$"}
        if field.type == FieldType.TYPE_ENUM:
            return {"type": "string", "enum": [name for name, _ in self._contract.enumerations[field.type_name].values[1:]]}
        if field.type == FieldType.TYPE_BOOL:
            return {"type": "boolean"}
        if field.type == FieldType.TYPE_DOUBLE:
            return {"type": "number", "format": "double"}
        if field.type in INT32 or (field.type in INT64 and http.is_json_number):
            return {"type": "integer", "format": "int32" if field.type in INT32 else "int64", **self._range(http)}
        if field.type in INT64:
            text = self._decimal_text(http)
            if not is_request or is_text:
                return text
            return {"anyOf": [text, {"type": "integer", **self._range(http, INT64_MAX)}]}
        if field.type == FieldType.TYPE_STRING:
            return self._text(http, is_request)
        raise ValueError(f"no JSON schema for the type of {field.name}: teach tools/openapi/schemas.py")

    def _text(self, http, is_request):
        schema = {"type": "string"}
        if http.values:
            return {**schema, "enum": list(http.values)}
        if http.format == "error-code":
            return {**schema, "enum": self._error_codes}
        if http.pattern:
            schema["pattern"] = f"^({http.pattern})?$" if http.takes_empty else f"^{http.pattern}$"
        if http.HasField("max_bytes"):
            schema.update(self._length(http.max_bytes))
        if not is_request:
            return schema
        if http.HasField("min_bytes"):
            schema["minLength"] = http.min_bytes
        if not http.pattern and http.format != "date":
            schema["pattern"] = NO_NUL if http.format in FREE_FORMATS else NO_CONTROLS
        if http.is_personal:
            schema["not"] = {"pattern": r"\*\*\*"}
        if http.format:
            schema["format"] = http.format
        return {"anyOf": [schema, {"const": ""}]} if http.takes_empty and not http.pattern else schema

    def _decimal_text(self, http):
        low, high = http.min if http.HasField("min") else 0, http.max if http.HasField("max") else INT64_MAX
        schema = {"type": "string", "format": "int64", "pattern": f"^({decimal_pattern(low, high)})$"}
        if high != INT64_MAX:
            return schema
        name = "PositiveInt64" if low else "Int64"
        schema["description"] = f"A number of 64 bits as a text, from {low} to {high}: JSON numbers lose digits in many readers."
        return self._component(name, lambda: schema)

    @staticmethod
    def _range(http, high=None):
        schema = {}
        if http.HasField("min"):
            schema["minimum"] = http.min
        if http.HasField("max") or high is not None:
            schema["maximum"] = http.max if http.HasField("max") else high
        return schema

    @staticmethod
    def _length(bytes_max):
        # JSON Schema counts characters; a text of more characters than bytes does not exist.
        return {"maxLength": bytes_max, "x-max-bytes": bytes_max}

    @staticmethod
    def _count(http, what="Items"):
        schema = {}
        if http.HasField("min_items"):
            schema["min" + what] = http.min_items
        if http.HasField("max_items"):
            schema["max" + what] = http.max_items
        if http.has_unique_items:
            schema["uniqueItems"] = True
        return schema


def described(schema, field):
    """With the field's comment."""
    return {**schema, "description": field.comment} if field.comment else schema


def nullable(schema):
    """In a request null stands for absent."""
    if "type" in schema:
        with_null = {**schema, "type": [schema["type"], "null"]}
        if "enum" in schema:
            with_null["enum"] = [*schema["enum"], None]
        return with_null
    if "anyOf" in schema:
        return {**schema, "anyOf": [*schema["anyOf"], {"type": "null"}]}
    return {"anyOf": [schema, {"type": "null"}]}


def not_null(schema):
    if isinstance(schema.get("type"), list):
        schema = {**schema, "type": schema["type"][0]}
        if "enum" in schema:
            schema["enum"] = [value for value in schema["enum"] if value is not None]
    return schema
