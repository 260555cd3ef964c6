/* Float to OCP Microscaling elements: round to nearest even, saturating. */
#ifndef ENCODE_H
#define ENCODE_H

#include <stdint.h>

enum float_type { FLOAT32, BFLOAT16, FLOAT16 };

/* `bits` holds one number of the type in its low bits. There is no wrong input: NaN becomes NaN
   (E4M3) or the largest value (E2M1, which has no NaN), infinity the largest value. */
uint8_t encode_e2m1(uint32_t bits, enum float_type type);
uint8_t encode_e4m3(uint32_t bits, enum float_type type);

#endif
