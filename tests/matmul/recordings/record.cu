// Matrix products by single tensor core instructions, K steps in one running accumulator.
//
// d (M, N) = a (M, K) times b (N, K) transposed, plus c (M, N). Every matrix is row-major; M, N and
// K are multiples of the instruction's. One warp (or warpgroup) computes one tile; no attempt at
// speed. Build: nvcc -O2 -shared -Xcompiler -fPIC -gencode=arch=compute_90a,code=sm_90a
#include <cstdint>
#include <cuda_runtime.h>

typedef uint32_t u32;
typedef uint64_t u64;

__device__ static u32 load32(const void* base, size_t byte) {
  return *reinterpret_cast<const u32*>(static_cast<const char*>(base) + byte);
}

// ---- mma.sync.m16n8: 32 bytes of each operand's row a step ------------------------------------

#define MMA_F32(SHAPE, AT, BT)                                                                  \
  asm volatile("mma.sync.aligned." SHAPE ".row.col.f32." AT "." BT ".f32 "                      \
               "{%0,%1,%2,%3}, {%4,%5,%6,%7}, {%8,%9}, {%0,%1,%2,%3};"                          \
               : "+r"(d[0]), "+r"(d[1]), "+r"(d[2]), "+r"(d[3])                                 \
               : "r"(a[0]), "r"(a[1]), "r"(a[2]), "r"(a[3]), "r"(b[0]), "r"(b[1]))
#define MMA_F16(SHAPE, AT, BT)                                                                  \
  asm volatile("mma.sync.aligned." SHAPE ".row.col.f16." AT "." BT ".f16 "                      \
               "{%0,%1}, {%2,%3,%4,%5}, {%6,%7}, {%0,%1};"                                      \
               : "+r"(d[0]), "+r"(d[1])                                                         \
               : "r"(a[0]), "r"(a[1]), "r"(a[2]), "r"(a[3]), "r"(b[0]), "r"(b[1]))

// kind: 0 e4m3 e4m3, 1 e5m2 e5m2, 2 e4m3 e5m2, 3 e5m2 e4m3, 4 bfloat16, 5 float16
template <int KIND, bool HALF>
__global__ void mma_kernel(const void* A, const void* B, const void* C, void* D, int N, int row) {
  const int lane = threadIdx.x, group = lane >> 2, in_group = lane & 3;
  const size_t m = blockIdx.y * 16 + group, n = blockIdx.x * 8;
  const size_t out = m * N + n + in_group * 2;  // elements
  u32 d[4] = {0, 0, 0, 0}, a[4], b[2];
  if (HALF) {
    d[0] = load32(C, out * 2), d[1] = load32(C, (out + 8 * (size_t)N) * 2);
  } else {
    d[0] = load32(C, out * 4), d[1] = load32(C, out * 4 + 4);
    d[2] = load32(C, (out + 8 * (size_t)N) * 4), d[3] = load32(C, (out + 8 * (size_t)N) * 4 + 4);
  }
  for (int k = 0; k < row; k += 32) {  // row: bytes of one row of a or b
    const size_t at = m * row + k + in_group * 4, bt = (n + group) * row + k + in_group * 4;
    a[0] = load32(A, at), a[1] = load32(A, at + 8 * (size_t)row);
    a[2] = load32(A, at + 16), a[3] = load32(A, at + 8 * (size_t)row + 16);
    b[0] = load32(B, bt), b[1] = load32(B, bt + 16);
    if (HALF) {
      if (KIND == 0) MMA_F16("m16n8k32", "e4m3", "e4m3");
      if (KIND == 1) MMA_F16("m16n8k32", "e5m2", "e5m2");
      if (KIND == 2) MMA_F16("m16n8k32", "e4m3", "e5m2");
      if (KIND == 3) MMA_F16("m16n8k32", "e5m2", "e4m3");
      if (KIND == 5) MMA_F16("m16n8k16", "f16", "f16");
    } else {
      if (KIND == 0) MMA_F32("m16n8k32", "e4m3", "e4m3");
      if (KIND == 1) MMA_F32("m16n8k32", "e5m2", "e5m2");
      if (KIND == 2) MMA_F32("m16n8k32", "e4m3", "e5m2");
      if (KIND == 3) MMA_F32("m16n8k32", "e5m2", "e4m3");
      if (KIND == 4) MMA_F32("m16n8k16", "bf16", "bf16");
      if (KIND == 5) MMA_F32("m16n8k16", "f16", "f16");
    }
  }
  u32* D32 = static_cast<u32*>(D);
  if (HALF) {
    D32[out / 2] = d[0], D32[(out + 8 * (size_t)N) / 2] = d[1];
  } else {
    D32[out] = d[0], D32[out + 1] = d[1];
    D32[out + 8 * (size_t)N] = d[2], D32[out + 8 * (size_t)N + 1] = d[3];
  }
}

// ---- wgmma m64n8: 32 bytes of each operand's row a step, both from shared memory ---------------

#define WGMMA_F32(SHAPE, AT, BT, TRANSPOSED)                                                    \
  asm volatile("wgmma.mma_async.sync.aligned." SHAPE ".f32." AT "." BT                          \
               " {%0,%1,%2,%3}, %4, %5, 1, 1, 1" TRANSPOSED ";"                                 \
               : "+r"(d[0]), "+r"(d[1]), "+r"(d[2]), "+r"(d[3])                                 \
               : "l"(da), "l"(db))
#define WGMMA_F16(SHAPE, AT, BT, TRANSPOSED)                                                    \
  asm volatile("wgmma.mma_async.sync.aligned." SHAPE ".f16." AT "." BT                          \
               " {%0,%1}, %2, %3, 1, 1, 1" TRANSPOSED ";"                                       \
               : "+r"(d[0]), "+r"(d[1])                                                         \
               : "l"(da), "l"(db))

// Shared-memory matrix descriptor without swizzle: 8 rows by 16 bytes are one core matrix of 128
// consecutive bytes; neighbours along K are 128 bytes apart, neighbours along M or N 256.
__device__ static u64 descriptor(const void* shared) {
  const u64 address = static_cast<u64>(__cvta_generic_to_shared(shared));
  return ((address & 0x3FFFF) >> 4) | (u64(128 >> 4) << 16) | (u64(256 >> 4) << 32);
}

template <int KIND, bool HALF>
__global__ void wgmma_kernel(const void* A, const void* B, const void* C, void* D, int N, int row) {
  __shared__ __align__(128) u32 sa[64 * 8], sb[8 * 8];
  const int t = threadIdx.x, lane = t & 31, group = lane >> 2, in_group = lane & 3;
  const size_t m0 = blockIdx.y * 64, n = blockIdx.x * 8, m = m0 + (t >> 5) * 16 + group;
  const size_t out = m * N + n + in_group * 2;
  u32 d[4] = {0, 0, 0, 0};
  if (HALF) {
    d[0] = load32(C, out * 2), d[1] = load32(C, (out + 8 * (size_t)N) * 2);
  } else {
    d[0] = load32(C, out * 4), d[1] = load32(C, out * 4 + 4);
    d[2] = load32(C, (out + 8 * (size_t)N) * 4), d[3] = load32(C, (out + 8 * (size_t)N) * 4 + 4);
  }
  const u64 da = descriptor(sa), db = descriptor(sb);
  for (int k = 0; k < row; k += 32) {
    for (int i = t; i < 64 * 8; i += 128) {  // word i & 7 of row i >> 3
      const int r = i >> 3, w = i & 7;
      sa[(r >> 3) * 64 + (w >> 2) * 32 + (r & 7) * 4 + (w & 3)] =
          load32(A, (m0 + r) * (size_t)row + k + w * 4);
      if (r < 8) sb[(w >> 2) * 32 + r * 4 + (w & 3)] = load32(B, (n + r) * (size_t)row + k + w * 4);
    }
    asm volatile("fence.proxy.async.shared::cta;" ::: "memory");
    __syncthreads();
    asm volatile("wgmma.fence.sync.aligned;" ::: "memory");
    if (HALF) {
      if (KIND == 0) WGMMA_F16("m64n8k32", "e4m3", "e4m3", "");
      if (KIND == 1) WGMMA_F16("m64n8k32", "e5m2", "e5m2", "");
      if (KIND == 2) WGMMA_F16("m64n8k32", "e4m3", "e5m2", "");
      if (KIND == 3) WGMMA_F16("m64n8k32", "e5m2", "e4m3", "");
      if (KIND == 5) WGMMA_F16("m64n8k16", "f16", "f16", ", 0, 0");
    } else {
      if (KIND == 0) WGMMA_F32("m64n8k32", "e4m3", "e4m3", "");
      if (KIND == 1) WGMMA_F32("m64n8k32", "e5m2", "e5m2", "");
      if (KIND == 2) WGMMA_F32("m64n8k32", "e4m3", "e5m2", "");
      if (KIND == 3) WGMMA_F32("m64n8k32", "e5m2", "e4m3", "");
      if (KIND == 4) WGMMA_F32("m64n8k16", "bf16", "bf16", ", 0, 0");
      if (KIND == 5) WGMMA_F32("m64n8k16", "f16", "f16", ", 0, 0");
    }
    asm volatile("wgmma.commit_group.sync.aligned;" ::: "memory");
    asm volatile("wgmma.wait_group.sync.aligned 0;" ::: "memory");
    __syncthreads();
  }
  u32* D32 = static_cast<u32*>(D);
  if (HALF) {
    D32[out / 2] = d[0], D32[(out + 8 * (size_t)N) / 2] = d[1];
  } else {
    D32[out] = d[0], D32[out + 1] = d[1];
    D32[out + 8 * (size_t)N] = d[2], D32[out + 8 * (size_t)N + 1] = d[3];
  }
}

template <int KIND, bool HALF>
static int launch(int wide, const void* a, const void* b, const void* c, void* d, int m, int n,
                  int row) {
  if (wide)
    wgmma_kernel<KIND, HALF><<<dim3(n / 8, m / 64), 128>>>(a, b, c, d, n, row);
  else
    mma_kernel<KIND, HALF><<<dim3(n / 8, m / 16), 32>>>(a, b, c, d, n, row);
  const cudaError_t started = cudaGetLastError();
  return started ? started : cudaDeviceSynchronize();
}

// Pointers are device memory; `row` is the length of a row of a and of b in bytes. Returns a
// cudaError_t, or -1 for a pair that no instruction has.
extern "C" int product(int wide, int kind, int half, const void* a, const void* b, const void* c,
                       void* d, int m, int n, int row) {
  switch (kind * 2 + half) {
    case 0: return launch<0, false>(wide, a, b, c, d, m, n, row);
    case 1: return launch<0, true>(wide, a, b, c, d, m, n, row);
    case 2: return launch<1, false>(wide, a, b, c, d, m, n, row);
    case 3: return launch<1, true>(wide, a, b, c, d, m, n, row);
    case 4: return launch<2, false>(wide, a, b, c, d, m, n, row);
    case 5: return launch<2, true>(wide, a, b, c, d, m, n, row);
    case 6: return launch<3, false>(wide, a, b, c, d, m, n, row);
    case 7: return launch<3, true>(wide, a, b, c, d, m, n, row);
    case 8: return launch<4, false>(wide, a, b, c, d, m, n, row);
    case 10: return launch<5, false>(wide, a, b, c, d, m, n, row);
    case 11: return launch<5, true>(wide, a, b, c, d, m, n, row);
  }
  return -1;
}
