"""A machine whose words are symbols: lane programs run on all inputs at once, and are proven.

`Z3Machine` follows ``mxref.kernels.lanes.Machine``, so the very functions that LLVM compiles run on
it; their result is a formula over the input's bits. `prove` asks z3 for an input on which a claim
about it is false. No such input exists: the claim holds for every input, 2^64 of them or more.
"""

import functools

import numpy as np
import z3

from mxref.kernels.lanes import Machine, Word

TIMEOUT_MS = 120_000


class Z3Word(Word):
    """A bit-vector formula; operators wrap as words do, comparisons are chosen unsigned."""

    def __init__(self, machine, value):
        self.machine = machine
        self.value = value

    def operand(self, other):
        if isinstance(other, Z3Word):
            return other.value
        width = self.value.size()
        return z3.BitVecVal(int(other) & ((1 << width) - 1), width)

    def _new(self, value):
        return Z3Word(self.machine, value)

    def __add__(self, other):
        return self._new(self.value + self.operand(other))

    def __sub__(self, other):
        return self._new(self.value - self.operand(other))

    def __and__(self, other):
        return self._new(self.value & self.operand(other))

    def __or__(self, other):
        return self._new(self.value | self.operand(other))

    def __xor__(self, other):
        return self._new(self.value ^ self.operand(other))

    def __lshift__(self, other):
        self.machine.shifts.append(self.operand(other))
        return self._new(self.value << self.operand(other))

    def __rshift__(self, other):
        self.machine.shifts.append(self.operand(other))
        return self._new(z3.LShR(self.value, self.operand(other)))


class Z3Machine(Machine):
    """Turns a program into a formula.

    What z3 defines and LLVM does not is collected on the way, to be excluded by `is_defined`:
    shifts by the width or more, and lookups outside the parameters.
    """

    def __init__(self, width, parameters=()):
        self.width = width
        self._parameters = [int(p) for p in np.asarray(parameters).tolist()]
        self.shifts = []
        self.lookups = []

    def word(self, value):
        """Return a formula as a word, widened with zeros."""
        missing = self.width - value.size()
        return Z3Word(self, z3.ZeroExt(missing, value) if missing else value)

    def constant(self, value):
        return Z3Word(self, z3.BitVecVal(value & ((1 << self.width) - 1), self.width))

    def parameter(self, index):
        return self.constant(self._parameters[index])

    def lookup(self, index):
        self.lookups.append(index.value)
        return Z3Word(self, _rom(self._parameters, index.value, self.width))

    def minimum(self, a, b):
        other = a.operand(b)
        return Z3Word(self, z3.If(z3.ULT(a.value, other), a.value, other))

    def maximum(self, a, b):
        other = a.operand(b)
        return Z3Word(self, z3.If(z3.UGT(a.value, other), a.value, other))

    def leading_zeros(self, a):
        rest, count, step = a.value, z3.BitVecVal(0, self.width), self.width // 2
        while step:  # are the upper `step` bits zero? then count them and look at those below
            is_zero = z3.LShR(rest, self.width - step) == 0
            count = z3.If(is_zero, count + step, count)
            rest = z3.If(is_zero, rest << step, rest)
            step //= 2
        return Z3Word(self, z3.If(a.value == 0, z3.BitVecVal(self.width, self.width), count))

    def where_equal(self, a, b, then, otherwise):
        return Z3Word(self, z3.If(a.value == a.operand(b), a.operand(then), a.operand(otherwise)))

    def where_above(self, a, b, then, otherwise):
        is_above = z3.UGT(a.value, a.operand(b))
        return Z3Word(self, z3.If(is_above, a.operand(then), a.operand(otherwise)))

    def is_defined(self):
        """The claim that every shift is by less than the width and every lookup inside."""
        shifts = [z3.ULT(amount, self.width) for amount in self.shifts]
        lookups = [z3.ULT(place, len(self._parameters)) for place in self.lookups]
        return z3.And(shifts + lookups)


def _rom(items, place, width):
    """A read-only memory as a tree of multiplexers, equal halves merged."""
    depth = max(1, (len(items) - 1).bit_length())

    @functools.cache
    def tree(level, values):
        if len(set(values)) == 1:
            return z3.BitVecVal(values[0], width)
        half = len(values) // 2
        bit = z3.Extract(level - 1, level - 1, place)
        return z3.If(bit == 1, tree(level - 1, values[half:]), tree(level - 1, values[:half]))

    padded = tuple(items) + (0,) * ((1 << depth) - len(items))
    return tree(depth, padded)


def ladder(position, starts, results, width):
    """The step function that is ``results[i]`` from ``starts[i]`` on, as a formula.

    Parameters
    ----------
    position : signed bit-vector
    starts : ascending integers
        The first of them is not looked at: below ``starts[1]`` the result is ``results[0]``.
    """

    def tree(low, high):
        if high - low == 1:
            return z3.BitVecVal(int(results[low]), width)
        middle = (low + high) // 2
        is_beyond = position >= z3.BitVecVal(starts[middle], position.size())  # signed
        return z3.If(is_beyond, tree(middle, high), tree(low, middle))

    assert list(starts[1:]) == sorted(starts[1:])
    assert len(starts) == len(results)
    return tree(0, len(starts))


def counterexample(claim, **inputs):
    """Return the bits of inputs for which a claim is false, or None if it always holds.

    Raises
    ------
    TimeoutError
        If z3 finds neither a proof nor an input in the time given.
    """
    solver = z3.SolverFor("QF_BV")
    solver.set("timeout", TIMEOUT_MS)
    solver.add(z3.Not(claim))
    answer = solver.check()
    if answer == z3.unsat:
        return None
    if answer == z3.unknown:
        raise TimeoutError(solver.reason_unknown())
    model = solver.model()
    return {
        name: model.eval(symbol, model_completion=True).as_long() for name, symbol in inputs.items()
    }


def wide_word(size, kind):
    """The float64 word of a magnitude of any source type, finite or not.

    A subnormal number has its leading bit in one of a few places; each is a case of its own.
    """
    if kind.width == 64:
        return size
    mantissa_bits, room = kind.mantissa_bits, 52 - kind.mantissa_bits
    wide = z3.ZeroExt(64 - kind.width, size)
    result = (wide << room) + ((1023 - kind.bias) << 52)
    for place in reversed(range(mantissa_bits)):
        field = 1023 + place - (kind.bias + mantissa_bits - 1)
        subnormal = ((wide - (1 << place)) << (52 - place)) + (field << 52)
        result = z3.If(z3.ULT(size, 1 << (place + 1)), subnormal, result)
    return z3.If(size == 0, z3.BitVecVal(0, 64), result)
