/* Reads a decode .hex file as spec_vectors/README.md describes it, with nothing but the C library,
   and checks the E4M3 decoder below. With an argument "broken" the decoder has a wrong bias.
   Prints: cases words failures. */
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static uint32_t decode_e4m3(unsigned code, int bias) {
    unsigned exponent = (code >> 3) & 15, mantissa = code & 7;
    uint32_t sign = (uint32_t)(code >> 7) << 31;
    if ((code & 0x7f) == 0x7f) return 0x7fc00000;
    if (exponent) return sign | (uint32_t)(exponent - bias + 127) << 23 | mantissa << 20;
    if (!mantissa) return sign;
    unsigned shift = mantissa >= 4 ? 1 : mantissa >= 2 ? 2 : 3; /* subnormal */
    return sign | (uint32_t)(1 - bias - (int)shift + 127) << 23 | ((mantissa << shift) & 7) << 20;
}

static int is_nan(uint32_t bits) { return (bits & 0x7fffffff) > 0x7f800000; }

int main(int argc, char **argv) {
    static char line[4096];
    long cases = 0, words = 0, failures = 0;
    int bias = argc > 2 && !strcmp(argv[2], "broken") ? 8 : 7;
    FILE *file = argc > 1 ? fopen(argv[1], "r") : NULL;
    if (!file) return 2;
    while (fgets(line, sizeof line, file)) {
        if (line[0] == '/') continue;
        char *p = line;
        unsigned long long id = strtoull(p, &p, 16);
        unsigned verdict = strtoull(p, &p, 16), members = strtoull(p, &p, 16);
        unsigned code = strtoull(p, &p, 16);
        uint32_t got = decode_e4m3(code, bias);
        int pass = verdict == 2;
        cases += 1, words += 4 + members;
        while (members--) {
            uint32_t want = (uint32_t)strtoull(p, &p, 16);
            pass |= got == want || (is_nan(got) && is_nan(want)); /* compare: any-nan */
        }
        if (*p != '\n') return 3; /* a token too many or too few */
        if (!pass && failures++ < 3) fprintf(stderr, "%012llx: code %02x\n", id, code);
    }
    printf("%ld %ld %ld\n", cases, words, failures);
    return 0;
}
