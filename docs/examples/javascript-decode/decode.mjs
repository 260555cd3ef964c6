// Checks a decoder of all seven formats by the JSON files of spec_vectors/decode, after their
// SHA-256 by the manifest.
//
//     node decode.mjs SPEC_VECTORS
//
// Exit status 0: every case passes; 1: some fail; 2: the set cannot be used.

import { createHash } from "node:crypto";
import { readFileSync } from "node:fs";
import { join } from "node:path";

// --- the decoder ----------------------------------------------------------------------------

// Codes from firstNan on, without the sign, are NaN.
const FLOATS = {
  e4m3: { exponentBits: 4, mantissaBits: 3, bias: 7, firstNan: 0x7f },
  e5m2: { exponentBits: 5, mantissaBits: 2, bias: 15, firstNan: 0x7d, infinity: 0x7c },
  e3m2: { exponentBits: 3, mantissaBits: 2, bias: 3 },
  e2m3: { exponentBits: 2, mantissaBits: 3, bias: 1 },
  e2m1: { exponentBits: 2, mantissaBits: 1, bias: 1 },
};

const view = new DataView(new ArrayBuffer(8));

// Exact by construction; Math.pow is only as good as its implementation.
function powerOfTwo(exponent) {
  view.setBigUint64(0, BigInt(1023 + exponent) << 52n);
  return view.getFloat64(0);
}

function float32Bits(value) {
  view.setFloat32(0, value);
  return view.getUint32(0);
}

function decodeFloat(code, { exponentBits, mantissaBits, bias, firstNan = Infinity, infinity }) {
  const signBit = 1 << (exponentBits + mantissaBits);
  const sign = code & signBit ? -1 : 1;
  const magnitude = code & (signBit - 1);
  if (magnitude === infinity) return sign * Infinity;
  if (magnitude >= firstNan) return NaN;
  const biased = magnitude >> mantissaBits;
  const mantissa = magnitude & ((1 << mantissaBits) - 1);
  // Subnormals have the exponent of the least normal number, and no leading one.
  const significand = biased > 0 ? mantissa | (1 << mantissaBits) : mantissa;
  return sign * significand * powerOfTwo(Math.max(biased, 1) - bias - mantissaBits);
}

function decode(format, code) {
  if (format in FLOATS) return decodeFloat(code, FLOATS[format]);
  if (format === "int8") return ((code << 24) >> 24) / 64;
  if (format === "e8m0") return code === 0xff ? NaN : powerOfTwo(code - 127);
  throw new Error(`unknown format ${format}`);
}

// --- the runner -----------------------------------------------------------------------------

const isNan = (bits) => (bits & 0x7fffffff) > 0x7f800000;

function check(file) {
  const anyNan = file.compare.includes("any-nan");
  const same = (got, want) => got === want || (anyNan && isNan(got) && isNan(want));
  let failed = 0;
  for (const { id, in: input, out, one_of, verdict } of file.cases) {
    if (verdict === "open") continue; // never fails
    const members = one_of ? one_of.map((member) => member.out) : [out];
    // A member that is null is a refused input; this decoder refuses none.
    const allowed = members.filter((member) => member !== null).map(({ value }) => value);
    const got = float32Bits(decode(file.format, parseInt(input.code, 16)));
    if (!allowed.some((want) => same(got, parseInt(want, 16)))) {
      const shown = got.toString(16).padStart(8, "0");
      console.log(`${id}: ${file.format} ${input.code} gives ${shown}, not one of ${allowed}`);
      failed += 1;
    }
  }
  console.log(`${file.format}: ${file.cases.length} cases, ${failed} failed`);
  return failed;
}

function main(root) {
  const manifest = JSON.parse(readFileSync(join(root, "manifest.json"), "ascii"));
  const paths = Object.keys(manifest.files).filter((path) => /^decode\/.*\.ocp\.json$/.test(path));
  if (paths.length === 0) throw new Error("the manifest lists no decode vectors");
  let failed = 0;
  for (const path of paths) {
    const data = readFileSync(join(root, path));
    const digest = createHash("sha256").update(data).digest("hex");
    if (digest !== manifest.files[path].sha256) throw new Error(`${path}: the file was changed`);
    const file = JSON.parse(data.toString("ascii"));
    if (file.schema > 2) throw new Error(`${path}: schema ${file.schema} is newer than this reader`);
    failed += check(file);
  }
  return failed > 0 ? 1 : 0;
}

try {
  process.exitCode = main(process.argv[2] ?? "../../../spec_vectors");
} catch (error) {
  console.error(error.message);
  process.exitCode = 2;
}
