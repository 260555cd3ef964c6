/* runner e2m1|e4m3 FILE.hex: checks the encoder. Exit 0: passes; 1: fails; 2: cannot be checked. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "encode.h"

static int cannot(const char *what, const char *why)
{
    fprintf(stderr, "%s: %s\n", what, why);
    return 2;
}

int main(int argc, char **argv)
{
    if (argc != 3) return cannot("runner", "give e2m1 or e4m3, and a file of spec_vectors/encode");
    uint8_t (*encode)(uint32_t, enum float_type) =
        !strcmp(argv[1], "e2m1") ? encode_e2m1 : !strcmp(argv[1], "e4m3") ? encode_e4m3 : NULL;
    if (!encode) return cannot(argv[1], "no such encoder");
    FILE *file = fopen(argv[2], "r");
    if (!file) return cannot(argv[2], "cannot be opened");

    char line[4098]; /* 4096 characters, line feed, zero */
    unsigned long promised = 0, cases = 0, failed = 0, open = 0;
    while (fgets(line, sizeof line, file)) {
        if (line[0] == '/') { /* the second line says how many cases there are */
            if (promised == 0) sscanf(line, "// %lu cases", &promised);
            continue;
        }
        char *p = line;
        unsigned long long id = strtoull(p, &p, 16);
        unsigned verdict = (unsigned)strtoull(p, &p, 16);
        unsigned members = (unsigned)strtoull(p, &p, 16);
        enum float_type type;
        switch (strtoull(p, &p, 16)) { /* the names are hexadecimal numbers */
        case 0xf32: type = FLOAT32; break;
        case 0xbf16: type = BFLOAT16; break;
        case 0xf16: type = FLOAT16; break;
        default: return cannot(argv[2], "a line names an unknown input type");
        }
        uint32_t input = (uint32_t)strtoull(p, &p, 16);
        uint8_t got = encode(input, type);
        int pass = verdict == 2; /* open: never fails */
        char *allowed = p;       /* outputs; "refused" is left out, and this encoder never refuses */
        while (members--) pass |= strtoull(p, &p, 16) == got;
        if (*p != '\n') return cannot(argv[2], "a line does not end where its fields do");
        cases++;
        open += verdict == 2;
        failed += !pass;
        if (!pass) printf("%012llx: %x gives %02x, not%s", id, (unsigned)input, got, allowed);
    }
    fclose(file);
    if (cases == 0 || cases != promised) return cannot(argv[2], "the file is truncated");
    printf("%s: %lu cases, %lu failed, %lu open\n", argv[1], cases, failed, open);
    return failed != 0;
}
