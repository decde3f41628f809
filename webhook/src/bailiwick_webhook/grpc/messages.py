"""The messages of `envoy.service.auth.v3.Authorization`, of which we have the fields that we read or write.

Source: envoyproxy/data-plane-api, envoy/service/auth/v3/external_auth.proto and attribute_context.proto. Holds: names
and numbers are Envoy's; the package is ours, since two messages of one full name in a process collide; what is not here
is skipped when it is read.
"""

from typing import Any, Final

from google.protobuf import descriptor_pb2, descriptor_pool, message_factory, struct_pb2

SERVICE: Final = "envoy.service.auth.v3.Authorization"
METHOD: Final = "Check"
PACKAGE: Final = "bailiwick.extauth"

OK: Final = 0
PERMISSION_DENIED: Final = 7
UNAUTHENTICATED: Final = 16
OVERWRITE: Final = 2
"""`HeaderAppendAction.OVERWRITE_IF_EXISTS_OR_ADD`."""

_Field = tuple[int, str]
# A type is of protobuf, of here, or `map`, of string to string; a star stands for many, an exclamation mark for one
# of the oneof `http_response`.
MESSAGES: Final[dict[str, dict[str, _Field]]] = {
    "SocketAddress": {"address": (2, "string")},
    "Address": {"socket_address": (1, "SocketAddress")},
    "HeaderValue": {"key": (1, "string"), "value": (2, "string"), "raw_value": (3, "bytes")},
    "HeaderMap": {"headers": (1, "*HeaderValue")},
    "Peer": {"address": (1, "Address")},
    "HttpRequest": {
        "method": (2, "string"),
        "headers": (3, "map"),
        "path": (4, "string"),
        "host": (5, "string"),
        "size": (9, "int64"),
        "body": (11, "string"),
        "raw_body": (12, "bytes"),
        "header_map": (13, "HeaderMap"),
    },
    "Request": {"http": (2, "HttpRequest")},
    "AttributeContext": {"source": (1, "Peer"), "request": (4, "Request"), "context_extensions": (10, "map")},
    "CheckRequest": {"attributes": (1, "AttributeContext")},
    "HeaderValueOption": {"header": (1, "HeaderValue"), "append_action": (3, "int32")},
    "Status": {"code": (1, "int32"), "message": (2, "string")},
    "HttpStatus": {"code": (1, "int32")},
    "DeniedHttpResponse": {"status": (1, "HttpStatus"), "headers": (2, "*HeaderValueOption"), "body": (3, "string")},
    "OkHttpResponse": {"headers": (2, "*HeaderValueOption"), "headers_to_remove": (5, "*string")},
    "CheckResponse": {
        "status": (1, "Status"),
        "denied_response": (2, "!DeniedHttpResponse"),
        "ok_response": (3, "!OkHttpResponse"),
        "dynamic_metadata": (4, "Struct"),
    },
}

_DESCRIBED: Final = descriptor_pb2.FieldDescriptorProto
_SCALARS: Final = {
    "string": _DESCRIBED.TYPE_STRING,
    "bytes": _DESCRIBED.TYPE_BYTES,
    "int32": _DESCRIBED.TYPE_INT32,
    "int64": _DESCRIBED.TYPE_INT64,
}


def _describe(message: descriptor_pb2.DescriptorProto, name: str, number: int, kind: str) -> None:
    field = message.field.add(name=name, number=number, label=_DESCRIBED.LABEL_OPTIONAL)
    if kind[0] == "*":
        field.label = _DESCRIBED.LABEL_REPEATED
    elif kind[0] == "!":
        field.oneof_index = 0
        if not message.oneof_decl:
            message.oneof_decl.add(name="http_response")
    plain = kind.lstrip("*!")
    if plain in _SCALARS:
        field.type = _SCALARS[plain]
        return
    field.type = _DESCRIBED.TYPE_MESSAGE
    if plain == "Struct":
        field.type_name = f".{struct_pb2.Struct.DESCRIPTOR.full_name}"
        return
    if plain == "map":
        # As protoc writes it: its readers know a map by this name and this option.
        field.label = _DESCRIBED.LABEL_REPEATED
        plain = "".join(part.capitalize() for part in name.split("_")) + "Entry"
        entry = message.nested_type.add(name=plain)
        entry.options.map_entry = True
        _describe(entry, "key", 1, "string")
        _describe(entry, "value", 2, "string")
        plain = f"{message.name}.{plain}"
    field.type_name = f".{PACKAGE}.{plain}"


def _classes() -> dict[str, Any]:
    file = descriptor_pb2.FileDescriptorProto(
        name="bailiwick/extauth.proto",
        package=PACKAGE,
        syntax="proto3",
        dependency=[struct_pb2.DESCRIPTOR.name],
    )
    for name, fields in MESSAGES.items():
        message = file.message_type.add(name=name)
        for field, (number, kind) in fields.items():
            _describe(message, field, number, kind)
    pool = descriptor_pool.Default()
    pool.AddSerializedFile(file.SerializeToString())
    return {name: message_factory.GetMessageClass(pool.FindMessageTypeByName(f"{PACKAGE}.{name}")) for name in MESSAGES}


_CLASSES: Final = _classes()
CheckRequest: Final = _CLASSES["CheckRequest"]
CheckResponse: Final = _CLASSES["CheckResponse"]
