/* Float to E2M1 and E4M3, on integers alone: no rounding mode or flush-to-zero flag matters. */
#include "encode.h"

struct source {
    unsigned exponent_bits, mantissa_bits;
    int bias;
};

static const struct source sources[] = {
    [FLOAT32] = {8, 23, 127},
    [BFLOAT16] = {8, 7, 127},
    [FLOAT16] = {5, 10, 15},
};

struct element {
    unsigned mantissa_bits;
    int emin;          /* exponent of the least normal number */
    uint8_t sign;      /* the sign bit of a code */
    uint8_t max;       /* code of the largest value */
    uint8_t nan;       /* code that NaN becomes, whatever its sign */
};

static const struct element e2m1 = {1, 0, 0x08, 0x07, 0x07};
static const struct element e4m3 = {3, -6, 0x80, 0x7e, 0x7f};

/* significand / 2^shift to the nearest integer, ties to even. */
static uint32_t round_shift(uint32_t significand, int shift)
{
    if (shift <= 0) {
        return significand << -shift;
    }
    if (shift > 25) { /* below one half, since significand < 2^24; and 32 would be undefined */
        return 0;
    }
    uint32_t kept = significand >> shift;
    uint32_t rest = significand & ((UINT32_C(1) << shift) - 1);
    uint32_t half = UINT32_C(1) << (shift - 1);
#ifdef PLANTED_BUG
    return kept + (rest >= half); /* ties away from zero */
#else
    return kept + (rest > half || (rest == half && (kept & 1)));
#endif
}

static uint8_t encode(uint32_t bits, const struct source *from, const struct element *to)
{
    /* classify */
    uint32_t top = (UINT32_C(1) << from->exponent_bits) - 1;
    uint32_t mantissa = bits & ((UINT32_C(1) << from->mantissa_bits) - 1);
    uint32_t biased = (bits >> from->mantissa_bits) & top;
    uint8_t sign = bits >> (from->mantissa_bits + from->exponent_bits) & 1 ? to->sign : 0;
    if (biased == top) {
        return mantissa != 0 ? to->nan : sign | to->max;
    }

    /* align: the value is significand * 2^exponent */
    uint32_t significand = biased ? mantissa | UINT32_C(1) << from->mantissa_bits : mantissa;
    int exponent = (biased ? (int)biased : 1) - from->bias - (int)from->mantissa_bits;
    if (significand == 0) {
        return sign;
    }
    int floor_log2 = exponent - 1;
    for (uint32_t rest = significand; rest != 0; rest >>= 1) {
        floor_log2++;
    }
    int binade = floor_log2 > to->emin ? floor_log2 : to->emin;

    /* round to a multiple of the last mantissa bit in that binade */
    int step = binade - (int)to->mantissa_bits;
    uint32_t rounded = round_shift(significand, step - exponent);

    /* pack: the leading one counts as one more in the exponent field, and so does a carry */
    uint32_t code = ((uint32_t)(binade - to->emin) << to->mantissa_bits) + rounded;
    return sign | (uint8_t)(code < to->max ? code : to->max);
}

uint8_t encode_e2m1(uint32_t bits, enum float_type type)
{
    return encode(bits, &sources[type], &e2m1);
}

uint8_t encode_e4m3(uint32_t bits, enum float_type type)
{
    return encode(bits, &sources[type], &e4m3);
}
