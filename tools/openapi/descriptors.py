"""The descriptors of proto/muster/v1 with their comments and options, as plain look-ups."""
import importlib
import sys

from google.protobuf import descriptor_pb2

FieldType = descriptor_pb2.FieldDescriptorProto
INT64 = {FieldType.TYPE_INT64, FieldType.TYPE_UINT64, FieldType.TYPE_SINT64}
INT32 = {FieldType.TYPE_INT32, FieldType.TYPE_UINT32, FieldType.TYPE_SINT32}


def json_name(name):
    """proto3's JSON name of a field: display_name → displayName."""
    first, *rest = name.split("_")
    return first + "".join(word.capitalize() for word in rest)


class Field:
    def __init__(self, proto, comment, options):
        self.name, self.json, self.comment, self.http = proto.name, json_name(proto.name), comment, options
        self.type, self.type_name = proto.type, proto.type_name.lstrip(".")
        self.is_repeated = proto.label == FieldType.LABEL_REPEATED
        self.is_in_oneof = proto.HasField("oneof_index") and not proto.proto3_optional


class Message:
    def __init__(self, full_name, short_name, comment, fields, is_map_entry, has_oneof):
        self.full_name, self.short_name, self.comment, self.fields = full_name, short_name, comment, fields
        self.is_map_entry, self.has_oneof = is_map_entry, has_oneof

    def field(self, name):
        return next(field for field in self.fields if field.name == name)


class Enumeration:
    def __init__(self, short_name, comment, values):
        self.short_name, self.comment = short_name, comment
        self.values = values  # (name, comment), the zero value first


class Rpc:
    def __init__(self, proto, comment, rule):
        self.name, self.comment, self.rule = proto.name, comment, rule
        self.request, self.answer = proto.input_type.lstrip("."), proto.output_type.lstrip(".")
        self.is_stream = proto.server_streaming


class Service:
    def __init__(self, name, comment, rpcs):
        self.name, self.comment, self.rpcs = name, comment, rpcs


class Contract:
    """`set_path`: a FileDescriptorSet with source info; `python_root`: where protoc wrote muster/http/v1/http_pb2.py."""

    def __init__(self, set_path, python_root):
        # Imported before the set is read, so that its options are known when they are parsed.
        sys.path.insert(0, str(python_root))
        self._http = importlib.import_module("muster.http.v1.http_pb2")
        self.messages, self.enumerations, self.services = {}, {}, {}
        files = descriptor_pb2.FileDescriptorSet()
        files.ParseFromString(set_path.read_bytes())
        for file in files.file:
            if file.package == "muster.v1":
                self._take_file(file)

    def _take_file(self, file):
        comments = {tuple(place.path): " ".join(place.leading_comments.split()) for place in file.source_code_info.location}
        for index, message in enumerate(file.message_type):
            self._take_message(message, file.package, "", (4, index), comments)
        names = [each.short_name for each in (*self.messages.values(), *self.enumerations.values())]
        if twice := {name for name in names if names.count(name) > 1}:
            raise ValueError(f"two messages would share the name {', '.join(twice)} in OpenAPI: rename one of them")
        for index, service in enumerate(file.service):
            rpcs = [Rpc(rpc, comments.get((6, index, 2, i), ""), rpc.options.Extensions[self._http.rule])
                    for i, rpc in enumerate(service.method)]
            self.services[service.name] = Service(service.name, comments.get((6, index), ""), rpcs)

    def _take_message(self, proto, scope, outer, path, comments):
        full_name, short_name = f"{scope}.{proto.name}", outer + proto.name
        fields = [Field(field, comments.get((*path, 2, i), ""), field.options.Extensions[self._http.field])
                  for i, field in enumerate(proto.field)]
        self.messages[full_name] = Message(full_name, short_name, comments.get(path, ""), fields, proto.options.map_entry,
                                           any(field.is_in_oneof for field in fields))
        for i, nested in enumerate(proto.nested_type):
            self._take_message(nested, full_name, short_name, (*path, 3, i), comments)
        for i, enumeration in enumerate(proto.enum_type):
            values = [(value.name, comments.get((*path, 4, i, 2, j), "")) for j, value in enumerate(enumeration.value)]
            self.enumerations[f"{full_name}.{enumeration.name}"] = Enumeration(
                short_name + enumeration.name, comments.get((*path, 4, i), ""), values)
