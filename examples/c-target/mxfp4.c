/* A quantizer from float32 to MXFP4 by the OCP recipe, on integers alone, and two ways to check it.
 *
 *   cc -O2 -o mxfp4 mxfp4.c                       mxref conform cmd:./mxfp4
 *   cc -O2 -shared -fPIC -o libmxfp4.so mxfp4.c   mxref conform so:./libmxfp4.so
 *
 * -DPLANTED_BUG loses the subnormal, 0.5: mxref names that defect.
 */
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

enum { K = 32, EMAX = 2, BIAS = 127, NAN_SCALE = 0xff };

/* A magnitude, 2^23 to 2^24 - 1 times 2^exponent, in steps of 2^(scale - 127), to an E2M1 code. */
static uint8_t e2m1(uint32_t significand, int exponent, int scale)
{
    int floor_log2 = exponent + 23 - (scale - BIAS); /* of the quotient */
    int binade = floor_log2 > 0 ? floor_log2 : 0;    /* below 1 the steps stay as wide: subnormal */
    int shift = 22 + binade - floor_log2;            /* one mantissa bit is kept */
    if (shift > 24) { /* below half a step */
        return 0;
    }
    uint32_t kept = significand >> shift;
    uint32_t rest = significand & ((UINT32_C(1) << shift) - 1);
    uint32_t half = UINT32_C(1) << (shift - 1);
    kept += rest > half || (rest == half && (kept & 1)); /* to nearest, ties to even */
    uint32_t code = ((uint32_t)binade << 1) + kept; /* a carry moves into the exponent field */
#ifdef PLANTED_BUG
    code = code < 2 ? 0 : code;
#endif
    return (uint8_t)(code < 7 ? code : 7); /* saturates at 6 */
}

static void quantize_block(const uint32_t *x, uint8_t *codes, uint8_t *scale)
{
    uint32_t amax = 0;
    for (int i = 0; i < K; i++) {
        uint32_t magnitude = x[i] & 0x7fffffff;
        amax = magnitude > amax ? magnitude : amax;
    }
    int scale_code = (int)(amax >> 23) - EMAX; /* floor(log2(amax)) - emax, biased */
    if (amax >= 0x7f800000) {
        scale_code = NAN_SCALE; /* infinity or NaN in the block */
    } else if (scale_code < 0) {
        scale_code = 0; /* the scale ends at 2^-127 */
    }
    *scale = (uint8_t)scale_code;
    for (int i = 0; i < K; i++) {
        uint32_t significand = x[i] & 0x7fffff;
        int biased = (int)(x[i] >> 23 & 0xff);
        int exponent = (biased ? biased : 1) - BIAS - 23;
        significand |= biased ? UINT32_C(1) << 23 : 0;
        while (significand && !(significand >> 23)) { /* subnormal float32 */
            significand <<= 1;
            exponent--;
        }
        uint8_t code = 0; /* under a NaN scale no code means anything */
        if (significand && scale_code != NAN_SCALE) {
            code = e2m1(significand, exponent, scale_code);
        }
        codes[i] = (uint8_t)(x[i] >> 31 << 3) | code;
    }
}

/* so: n blocks of k numbers; 0 if all is well. The name says what it implements. */
int mxref_quantize_mxfp4(const float *x, size_t n, size_t k, uint8_t *codes, uint8_t *scales)
{
    if (k != K) {
        return 1;
    }
    for (size_t i = 0; i < n; i++) {
        uint32_t bits[K];
        memcpy(bits, x + i * K, sizeof bits);
        quantize_block(bits, codes + i * K, scales + i);
    }
    return 0;
}

/* cmd: the arguments say what is wanted; one block a line comes in, one answer a line goes out. */
int main(int argc, char **argv)
{
    if (argc >= 2 && !strcmp(argv[1], "claims")) {
        puts("quantize mxfp4 f32");
        return 0;
    }
    if (argc != 4 || strcmp(argv[1], "quantize") || strcmp(argv[2], "mxfp4")
        || strcmp(argv[3], "f32")) {
        puts("? only: quantize mxfp4 f32");
        return 0;
    }
    for (;;) {
        uint32_t x[K];
        for (int i = 0; i < K; i++) {
            unsigned bits;
            if (scanf("%x", &bits) != 1) {
                return i != 0; /* the input ends between two blocks, or it is damaged */
            }
            x[i] = bits;
        }
        uint8_t codes[K], scale;
        quantize_block(x, codes, &scale);
        printf("%02x", (unsigned)scale);
        for (int i = 0; i < K; i++) {
            printf(" %02x", (unsigned)codes[i]);
        }
        putchar('\n');
    }
}
