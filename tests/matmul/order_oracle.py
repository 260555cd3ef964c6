"""Sums in a given order by rational arithmetic: an oracle that shares no code with the kernels.

Written from the documentation of `mxref.matmul.orders.Order`. Numbers are those of `mxref.exact`,
each operation is done exactly and rounded by `mxref.exact.ieee`.
"""

from fractions import Fraction

from mxref.exact import element, scale
from mxref.exact.dot import dot
from mxref.exact.ieee import from_bits, to_bits
from mxref.exact.number import Number, NumberClass

ZERO = Number.zero(0)


def rounded(number, kind):
    return from_bits(to_bits(number, kind), kind)


def times(x, y):
    sign = x.sign ^ y.sign
    classes = {x.cls, y.cls}
    if NumberClass.NAN in classes or classes == {NumberClass.INF, NumberClass.ZERO}:
        return Number.nan(0)
    if NumberClass.INF in classes:
        return Number.inf(sign)
    return Number.finite(x.value * y.value, sign)


def plus(x, y):
    if NumberClass.NAN in {x.cls, y.cls}:
        return Number.nan(0)
    infinite = {n.sign for n in (x, y) if n.cls is NumberClass.INF}
    if infinite:
        return Number.nan(0) if len(infinite) > 1 else Number.inf(infinite.pop())
    both_minus = x.sign and y.sign and x.value == y.value == 0
    total = x.value + y.value
    return Number.finite(total, 1 if both_minus else 0) if total == 0 else Number.finite(total)


class Arithmetic:
    """The operations of one accumulator."""

    def __init__(self, kind, products):
        self.kind, self.products = kind, products

    def add(self, x, y):
        return rounded(plus(x, y), self.kind)

    def multiply_add(self, total, x, y):
        product = times(x, y)
        if self.products == "fused":
            return rounded(plus(total, product), self.kind)
        if self.products == "float32" and self.kind != "float64":
            single = rounded(plus(total, rounded(product, "float32")), "float32")
            return rounded(single, self.kind)
        return self.add(total, rounded(product, self.kind))


class Product:
    """One product, which is added to a sum in one operation."""

    def __init__(self, x, y):
        self.x, self.y = x, y

    def onto(self, total, o):
        return o.multiply_add(total, self.x, self.y)


class Sum:
    """A finished partial sum."""

    def __init__(self, value):
        self.value = value

    def onto(self, total, o):
        return o.add(total, self.value)


def started(item, o, first=ZERO):
    return item.value if isinstance(item, Sum) else item.onto(first, o)


def one_by_one(items, o, first=ZERO):
    if not items:
        return first
    total = started(items[0], o, first)
    for item in items[1:]:
        total = item.onto(total, o)
    return total


def pair(x, y, o):
    if isinstance(x, Product) and isinstance(y, Sum):
        return x.onto(y.value, o)
    return y.onto(started(x, o), o)


def in_pairs(items, o):
    if not items:
        return ZERO
    while len(items) > 1:
        sums = [Sum(pair(x, y, o)) for x, y in zip(items[::2], items[1::2], strict=False)]
        items = sums + items[len(items) // 2 * 2 :]
    return started(items[0], o)


def in_halves(items, o):
    if not items:
        return ZERO
    while len(items) > 1:
        half = (len(items) + 1) // 2
        low, high = items[:half], items[half:]
        items = [Sum(pair(low[i], high[i], o)) if i < len(high) else low[i] for i in range(half)]
    return started(items[0], o)


PLAIN = {
    "sequential": one_by_one,
    "reversed": lambda items, o: one_by_one(items[::-1], o),
    "pairwise": in_pairs,
    "halves": in_halves,
}


def total_of(tree, items, o):
    """The sum of products (or blocks) by the name of a tree."""
    word, *rest = tree.split("-")
    if word in PLAIN:
        return PLAIN[word](items, o)
    size, shapes = int(rest[0]), rest[1:]
    inner, outer = "sequential", "sequential"
    if word == "chunks":
        inner, outer = [*shapes, *["sequential"] * (2 - len(shapes))]
    elif shapes:
        outer = shapes[0]
    if word == "lanes":
        groups = [items[lane::size] for lane in range(size)]
    else:
        step = size if word == "chunks" else max(1, -(-len(items) // size))
        groups = [items[i : i + step] for i in range(0, len(items), step)]
    return PLAIN[outer]([Sum(PLAIN[inner](group, o)) for group in groups if group], o)


def result(order, a, b, row, column, c=None):
    """The bits of one output, of the order's own type."""
    o = Arithmetic(order.accumulator, order.products)
    out = "float32" if order.accumulator == "float64" else order.accumulator
    left, right = (
        _side(a.codes[row], a.scales[row], a),
        _side(b.codes[:, column], b.scales[:, column], b),
    )
    if order.scales == "blocks":
        items = _blocks(order, left, right, a, b, o)
    else:
        items = [_product(order, x, y) for x, y in zip(left, right, strict=True)]
    if order.addend == "first" and order.tree == "sequential":
        total = one_by_one(items, o, ZERO if c is None else rounded(c, order.accumulator))
    else:
        total = total_of(order.tree, items, o)
        if c is not None:
            total = o.add(total, rounded(c, order.accumulator))
    return to_bits(total, out)


def _side(codes, scales, array):
    """(element, scale, scale code, code) of each place."""
    fmt = array.format
    return [
        (
            element.decode(int(code), fmt.element),
            scale.decode(int(scales[i // fmt.block_size]), fmt.scale),
            int(scales[i // fmt.block_size]),
            int(code),
        )
        for i, code in enumerate(codes)
    ]


def _product(order, x, y):
    (x, scale_x, *_), (y, scale_y, *_) = x, y
    x, y = times(x, scale_x), times(y, scale_y)
    if order.scales == "operands" and order.accumulator != "float64":
        x, y = rounded(x, "float32"), rounded(y, "float32")
    return Product(x, y)


def _blocks(order, left, right, a, b, o):
    size, items = a.format.block_size, []
    for start in range(0, len(left), size):
        x, y = left[start : start + size], right[start : start + size]
        if order.within == "exact":
            exact = dot(x[0][2], [p[3] for p in x], a.format, y[0][2], [p[3] for p in y], b.format)
            items.append(Product(exact, Number.finite(Fraction(1))))
            continue
        part = total_of(order.within, [Product(p[0], q[0]) for p, q in zip(x, y, strict=True)], o)
        items.append(Product(part, rounded(times(x[0][1], y[0][1]), "float32")))
    return items
