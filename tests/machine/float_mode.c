/* Read and set the floating-point mode of the calling thread: rounding, FTZ and DAZ.
   Any library may leave these set; mxref's bits must not depend on them. */

#if defined(__x86_64__) || defined(__i386__)
#include <xmmintrin.h>

unsigned long get_mode(void) { return _mm_getcsr(); }
void set_mode(unsigned long mode) { _mm_setcsr((unsigned)mode); }

/* MXCSR: FTZ is bit 15, DAZ bit 6, rounding bits 13 (down) and 14 (up). */
unsigned long flush_bits(void) { return 0x8040; }
unsigned long down_bits(void) { return 0x2000; }
unsigned long up_bits(void) { return 0x4000; }

#elif defined(__aarch64__)

unsigned long get_mode(void) {
    unsigned long mode;
    __asm__ volatile("mrs %0, fpcr" : "=r"(mode));
    return mode;
}
void set_mode(unsigned long mode) { __asm__ volatile("msr fpcr, %0" : : "r"(mode)); }

/* FPCR: FZ is bit 24, rounding bits 22 (up) and 23 (down). */
unsigned long flush_bits(void) { return 1ul << 24; }
unsigned long down_bits(void) { return 1ul << 23; }
unsigned long up_bits(void) { return 1ul << 22; }

#else
#error "no floating-point mode is known for this processor"
#endif
