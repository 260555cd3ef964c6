"""Vectors of the formats beside MX: NVFP4, and the block data representations (BDR).

They have operations of their own (`mxref.vectors.operations.RELATIVES`), since a block has other
parts: a scale of the whole tensor, or microexponents. Neither has a standard; a file is about a
profile, and obliges who claims that profile.
"""
