#!/usr/bin/env python3
"""No name is defined twice: two types, or two inline functions, of one name in one namespace are one to the linker, which takes
either's code for both (the "one definition rule", which no compiler sees broken over two files).

Looks at src/ and sim/, at what is neither in an unnamed namespace nor in a class. Exit 0 when every name is defined in one
file; else one line a name.
"""
import collections
import pathlib
import re
import sys

FOLDERS = ("src", "sim")

# Text that is no code, and may hold braces: comments, raw strings, strings, characters (not the 1'000 of a number), directives.
NO_CODE = re.compile(
    r"//[^\n]*|/\*.*?\*/|R\"(\w*)\(.*?\)\1\"|\"(?:\\.|[^\"\\\n])*\"|(?<![0-9A-Fa-f])'(?:\\.|[^'\\\n])+'|^[ \t]*#(?:\\\n|[^\n])*", re.S | re.M)
NAMESPACE = re.compile(r"(?:^|\s)namespace\s*([\w:]*)$")
TYPE = re.compile(r"(?:^|[\s>])(?:struct|class|enum(?:\s+class)?|union)\s+(?:\[\[\w+\]\]\s*)?(\w+)(?:\s+final)?(?:\s*:[^:].*)?$", re.S)
INLINE = re.compile(r"^(?=.*\b(?:inline|constexpr|template)\b).*?\b(?!requires\b)(\w+)\s*(\([^{]*\))\s*(?:const|noexcept|->.*|requires.*|\s)*$", re.S)


def definitions(text: str):
    """What the text of a file defines with external linkage: types, and inline functions with their parameters."""
    text = NO_CODE.sub(" ", text)
    around = []  # of every open brace: the namespace's name, or None
    begin = 0
    for brace in re.finditer(r"[{};]", text):
        head = text[begin : brace.start()].strip()
        begin = brace.end()
        if brace.group() == "}":
            around.pop()
        elif brace.group() == "{":
            namespace = NAMESPACE.search(head)
            if namespace is None and None not in around and "" not in around:
                if type_ := TYPE.search(head):
                    yield "::".join([*around, type_[1]])
                elif function := INLINE.match(head):
                    yield "::".join([*around, function[1] + re.sub(r"\s+", " ", function[2])])
            around.append(namespace[1] if namespace else None)


def main() -> int:
    root = pathlib.Path(__file__).resolve().parents[2]
    places = collections.defaultdict(set)
    for folder in FOLDERS:
        for path in sorted(root.glob(f"{folder}/**/*")):
            if path.suffix in (".h", ".cc"):
                for name in definitions(path.read_text()):
                    places[name].add(str(path.relative_to(root)))
    twice = {name: files for name, files in places.items() if len(files) > 1}
    for name, files in sorted(twice.items()):
        print(f"{', '.join(sorted(files))}: all define {name}; give one another name, or put it into an unnamed namespace")
    if not twice:
        print(f"names: {len(places)}, each defined in one file")
    return 1 if twice else 0


if __name__ == "__main__":
    sys.exit(main())
