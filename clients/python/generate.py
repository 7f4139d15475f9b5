#!/usr/bin/env python3
"""Writes `sandbar_client/api.py` from the document of the API.

usage: generate.py path/to/openapi.json

Every schema becomes a type, every operation a method. Generators that are around lose schemas that flatten an
enumeration into an object, which is how a state and what belongs to it come in one body.
"""

import json
import keyword
import pathlib
import sys
import textwrap

SCALARS = {"string": "str", "integer": "int", "number": "float", "boolean": "bool", "null": "None"}
HEAD = '''\
"""Made by `generate.py` from openapi.json; not to be edited."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, Literal, NotRequired, TypeAlias, TypedDict

from .transport import Transport

'''


def camel(text):
    return "".join(part[:1].upper() + part[1:] for part in text.replace("-", "_").split("_"))


def comment(text, indent=""):
    lines = textwrap.wrap(text or "", 110 - len(indent), break_long_words=False)
    return "".join(f"{indent}# {line}\n" for line in lines)


class Types:
    """The schemas of a document as Python types."""

    def __init__(self, schemas):
        self.schemas = schemas
        self.written = []

    def name(self, schema):
        """The type that `schema` is, as an expression."""
        if not isinstance(schema, dict) or not schema:
            return "Any"
        if "$ref" in schema:
            return camel(schema["$ref"].rsplit("/", 1)[1])
        if "const" in schema:
            return f"Literal[{schema['const']!r}]"
        if "enum" in schema:
            return f"Literal[{', '.join(map(repr, schema['enum']))}]"
        for union in ("oneOf", "anyOf"):
            if union in schema:
                return self.union([self.name(part) for part in schema[union]])
        if "allOf" in schema:
            return "dict[str, Any]"
        kinds = schema.get("type", "object")
        kinds = kinds if isinstance(kinds, list) else [kinds]
        return self.union([self.of_kind(kind, schema) for kind in kinds])

    def of_kind(self, kind, schema):
        if schema.get("format") == "binary":
            return "bytes"
        if kind == "array":
            return f"list[{self.name(schema.get('items'))}]"
        if kind == "object":
            more = schema.get("additionalProperties")
            return f"dict[str, {self.name(more) if isinstance(more, dict) else 'Any'}]"
        return SCALARS[kind]

    def union(self, names):
        return " | ".join(dict.fromkeys(names))

    def write(self, name, schema):
        """Writes the definition of a schema of the document."""
        said, name = comment(schema.get("description")), camel(name)
        variants = schema.get("oneOf", [])
        if any("properties" in variant for variant in variants):
            self.write_variants(name, variants, said)
        elif "allOf" in schema or "properties" in schema:
            fields, required = self.fields(schema)
            self.write_fields(name, fields, required, said)
        else:
            self.written.append(f"{said}{name}: TypeAlias = {self.name(schema)!r}\n")

    def write_variants(self, name, variants, said):
        names = []
        for index, variant in enumerate(variants):
            if "properties" not in variant:
                names.append(self.name(variant))
                continue
            tags = [field["enum"][0] for field in variant["properties"].values() if len(field.get("enum", [])) == 1]
            names.append(name + (camel(str(tags[0])) if tags else str(index + 1)))
            fields, required = self.fields(variant)
            self.write_fields(names[-1], fields, required, comment(variant.get("description")))
        self.written.append(f"{said}{name}: TypeAlias = {self.union(names)!r}\n")

    def fields(self, schema):
        """The fields of an object, those of what is flattened into it included."""
        if "$ref" in schema:
            schema = self.schemas[schema["$ref"].rsplit("/", 1)[1]]
        if "allOf" in schema:
            fields, required = {}, set()
            for part in schema["allOf"]:
                more, needed = self.fields(part)
                fields |= more
                required |= needed
            return fields, required
        if "oneOf" in schema:
            return self.flattened(schema["oneOf"])
        return schema.get("properties", {}), set(schema.get("required", []))

    def flattened(self, variants):
        """What one of several objects may have; only what all of them have is sure to be there."""
        fields, required = {}, None
        for variant in variants:
            more, needed = self.fields(variant)
            for field, schema in more.items():
                known = fields.setdefault(field, {"oneOf": [], "description": schema.get("description", "")})
                known["oneOf"].append(schema)
            required = needed if required is None else required & needed
        for schema in fields.values():
            if all("enum" in part for part in schema["oneOf"]):
                values = [value for part in schema.pop("oneOf") for value in part["enum"]]
                schema["enum"] = list(dict.fromkeys(values))
        return fields, required or set()

    def write_fields(self, name, fields, required, said):
        typed = {
            field: self.name(schema) if field in required else f"NotRequired[{self.name(schema)}]"
            for field, schema in fields.items()
        }
        if any(keyword.iskeyword(field) or not field.isidentifier() for field in typed):
            inside = "".join(f"    {field!r}: {kind!r},\n" for field, kind in typed.items())
            self.written.append(f"{said}{name} = TypedDict({name!r}, {{\n{inside}}})\n")
            return
        lines = "".join(
            f"{comment(fields[field].get('description'), '    ')}    {field}: {kind}\n" for field, kind in typed.items()
        )
        self.written.append(f"{said}class {name}(TypedDict):\n{lines or '    pass' + chr(10)}")


def pages(schemas):
    """Has a page name what is on it, where the document repeats that."""
    for name, schema in schemas.items():
        item = name.removeprefix("Page_")
        if item != name and item in schemas:
            schema["properties"]["items"]["items"] = {"$ref": f"#/components/schemas/{item}"}


def identifier(name):
    name = name.replace("-", "_").lower()
    return f"{name}_" if keyword.iskeyword(name) else name


def optional(types, kind):
    return types.union([*kind.split(" | "), "None"])


def text_of(url):
    return f"f{url!r}" if "{" in url else repr(url)


def answer(types, operation):
    """What a method returns: its type, and how the transport is to read it; `None` for what is no plain answer."""
    for status, response in operation["responses"].items():
        if not status.startswith("2"):
            continue
        content = response.get("content", {})
        if "application/json" in content:
            return types.name(content["application/json"].get("schema")), "json"
        if "text/event-stream" in content:
            return None
        if content:
            kind = "text" if next(iter(content)).startswith("text/") else "bytes"
            return {"text": "str", "bytes": "bytes"}[kind], kind
        return "None", "nothing"
    return None


def is_stream(operation):
    return any("text/event-stream" in response.get("content", {}) for response in operation["responses"].values())


def method(types, verb, path, operation):
    """The methods of one operation."""
    parameters = operation.get("parameters", [])
    places = {place: [p for p in parameters if p["in"] == place] for place in ("path", "query", "header")}
    body = operation.get("requestBody")
    takes = [f"{identifier(p['name'])}: str" for p in places["path"]]
    if body:
        media, content = next(iter(body["content"].items()))
        kind = types.name(content.get("schema"))
        takes.append(f"body: {kind}" if body.get("required") else f"body: {optional(types, kind)} = None")
    named = [
        f"{identifier(p['name'])}: "
        + (types.name(p["schema"]) if p.get("required") else f"{optional(types, types.name(p['schema']))} = None")
        for p in sorted(places["query"] + places["header"], key=lambda p: not p.get("required", False))
    ]
    signature = ", ".join(["self", *takes, *(["*", *named] if named else [])])
    url = path
    for p in places["path"]:
        url = url.replace(f"{{{p['name']}}}", f"{{self.segment({identifier(p['name'])})}}")
    sent = {
        "query": "{" + ", ".join(f"{p['name']!r}: {identifier(p['name'])}" for p in places["query"]) + "}",
        "headers": "{" + ", ".join(f"{p['name']!r}: {identifier(p['name'])}" for p in places["header"]) + "}",
    }
    more = "".join(f", {key}={value}" for key, value in sent.items() if value != "{}")
    if body:
        more += f", body=body, media={media!r}"
    said = " ".join(filter(None, [operation.get("summary"), operation.get("description")])).replace("\\", "\\\\")
    said = textwrap.indent(textwrap.fill(said, 106, break_long_words=False), "        ").strip().replace('"""', "'''")
    name, text = identifier(operation["operationId"]), ""
    if returned := answer(types, operation):
        kind, how = returned
        text += f"    def {name}({signature}) -> {kind}:\n        \"\"\"{said}\"\"\"\n"
        text += f"        return self.ask({verb.upper()!r}, {text_of(url)}, {how!r}{more})\n\n"
    if is_stream(operation):
        text += f"    def {name}_stream({signature}) -> Iterator[ServerSentEvent]:\n        \"\"\"{said}\"\"\"\n"
        text += f"        return self.follow({verb.upper()!r}, {text_of(url)}{more})\n\n"
    return text


def main(document):
    document = json.loads(pathlib.Path(document).read_text())
    schemas = document["components"]["schemas"]
    pages(schemas)
    types = Types(schemas)
    for name, schema in schemas.items():
        types.write(name, schema)
    methods = [
        method(types, verb, path, operation)
        for path, item in document["paths"].items()
        for verb, operation in item.items()
        if isinstance(operation, dict) and "operationId" in operation
    ]
    text = HEAD + "\n" + "\n\n".join(types.written)
    text += '\n\nclass Sandbar(Transport):\n    """Every operation of a server, a method each."""\n\n' + "".join(methods)
    (pathlib.Path(__file__).parent / "sandbar_client" / "api.py").write_text(text.rstrip() + "\n")


if __name__ == "__main__":
    main(sys.argv[1])
