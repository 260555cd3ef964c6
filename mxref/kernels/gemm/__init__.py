"""Exact products of integer matrices cut into signed bytes, and their rounding.

Every element of a block format is an integer in units of its format's smallest number, and every
integer is a few *digits*: signed bytes in base 256. Products of digits are exact in int32, on any
machine and in any order, so that the choice of instructions (AMX, VNNI, or none in particular) can
never change a bit.
"""
