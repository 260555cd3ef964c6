"""Files made byte by byte, good and lying, by nothing that the readers use."""

import json
import struct

GGUF_NUMBERS = {0: "B", 1: "b", 2: "H", 3: "h", 4: "I", 5: "i", 6: "f", 7: "?", 10: "Q", 11: "q"}
GGUF_NUMBERS[12] = "d"
STRING, ARRAY = 8, 9


def entry(dtype, shape, begin, end, **more):
    return {"dtype": dtype, "shape": shape, "data_offsets": [begin, end], **more}


def safetensors(header, data=b"", length=None):
    """A file with this header: a dictionary, or text that json.dumps would never write."""
    if isinstance(header, dict):
        header = json.dumps(header)
    if isinstance(header, str):
        header = header.encode()
    length = len(header) if length is None else length
    return struct.pack("<Q", length) + header + data


class Gguf:
    """A GGUF file in the making; each part can be replaced by a lie."""

    def __init__(self, order="<", version=3, alignment=32):
        self.order, self.version, self.alignment = order, version, alignment
        self.fields, self.tensors, self.data = [], [], b""
        self.n_fields = self.n_tensors = None
        self.magic = b"GGUF"

    def pack(self, code, *values):
        return struct.pack(self.order + code, *values)

    def text(self, value):
        data = value.encode() if isinstance(value, str) else value
        return self.pack("Q", len(data)) + data

    def value(self, kind, value):
        if kind == STRING:
            return self.text(value)
        if kind == ARRAY:
            inner, items = value
            head = self.pack("IQ", inner, len(items))
            return head + b"".join(self.value(inner, item) for item in items)
        return self.pack(GGUF_NUMBERS[kind], value)

    def field(self, key, kind, value):
        self.fields.append(self.text(key) + self.pack("I", kind) + self.value(kind, value))
        return self

    def raw_field(self, data):
        self.fields.append(data)
        return self

    def tensor(self, name, dims, kind, data, offset=None):
        """A tensor of these dimensions, fastest first as in the file."""
        self.data += bytes(-len(self.data) % self.alignment)
        offset = len(self.data) if offset is None else offset
        head = self.text(name) + self.pack(f"I{len(dims)}QIQ", len(dims), *dims, kind, offset)
        self.tensors.append(head)
        self.data += data
        return self

    def bytes(self):
        n_tensors = len(self.tensors) if self.n_tensors is None else self.n_tensors
        n_fields = len(self.fields) if self.n_fields is None else self.n_fields
        head = self.magic + self.pack("IQQ", self.version, n_tensors, n_fields)
        head += b"".join(self.fields) + b"".join(self.tensors)
        return head + bytes(-len(head) % self.alignment) + self.data
