// Exact rational numbers over BigInt: a fraction { n, d } in lowest terms, d > 0.
// Nothing in the arithmetic of this page ever rounds unless it says so.

function gcd(a, b) {
    while (b) [a, b] = [b, a % b];
    return a;
}

const abs = (n) => (n < 0n ? -n : n);

// The number of bits of a positive integer.
function bitLength(n) {
    const digits = n.toString(16);
    return 4 * (digits.length - 1) + (32 - Math.clz32(parseInt(digits[0], 16)));
}

function ratio(n, d = 1n) {
    if (typeof n === "number") n = BigInt(n);
    if (typeof d === "number") d = BigInt(d);
    if (d < 0n) [n, d] = [-n, -d];
    if (d === 1n) return { n, d };
    if ((d & (d - 1n)) === 0n) {
        // A dyadic number, as nearly all here: only twos can be shared.
        if (n === 0n) return { n, d: 1n };
        const low = n & -n;
        const shared = low < d ? low : d;
        return { n: n / shared, d: d / shared };
    }
    const shared = gcd(abs(n), d);
    return { n: n / shared, d: d / shared };
}

const ZERO = ratio(0);
const ONE = ratio(1);
const HALF = ratio(1, 2);

const pow2 = (e) => (e >= 0 ? { n: 1n << BigInt(e), d: 1n } : { n: 1n, d: 1n << BigInt(-e) });
const add = (a, b) => ratio(a.n * b.d + b.n * a.d, a.d * b.d);
const sub = (a, b) => ratio(a.n * b.d - b.n * a.d, a.d * b.d);
const mul = (a, b) => ratio(a.n * b.n, a.d * b.d);
const div = (a, b) => ratio(a.n * b.d, a.d * b.n);
const neg = (a) => ({ n: -a.n, d: a.d });
const absolute = (a) => (a.n < 0n ? neg(a) : a);
const isZero = (a) => a.n === 0n;

// Negative, zero or positive, as a is less than, equal to or greater than b.
function compare(a, b) {
    const left = a.n * b.d;
    const right = b.n * a.d;
    return left < right ? -1 : left > right ? 1 : 0;
}

const less = (a, b) => compare(a, b) < 0;
const equal = (a, b) => a.n === b.n && a.d === b.d;
const smaller = (a, b) => (less(b, a) ? b : a);

// Quotient and remainder of integers, rounded down.
function divmod(n, d) {
    let q = n / d;
    let r = n % d;
    if (r < 0n) {
        q -= 1n;
        r += d;
    }
    return [q, r];
}

const floor = (a) => divmod(a.n, a.d)[0];
const ceil = (a) => -floor(neg(a));

// The largest integer e with 2^e <= value, for a positive value.
function floorLog2(value) {
    const guess = bitLength(value.n) - bitLength(value.d);
    return less(value, pow2(guess)) ? guess - 1 : guess;
}

function ceilLog2(value) {
    const below = floorLog2(value);
    return equal(value, pow2(below)) ? below : below + 1;
}

// A fraction as p/q, or p: as Python writes it.
const fractionText = (a) => (a.d === 1n ? `${a.n}` : `${a.n}/${a.d}`);

// The nearest double, for drawing only.
function approximate(a) {
    if (a.n === 0n) return 0;
    const shift = Math.max(
        0,
        bitLength(abs(a.n)) - bitLength(a.d) < 60 ? 60 - bitLength(abs(a.n)) + bitLength(a.d) : 0,
    );
    return (
        Number((a.n << BigInt(shift)) / a.d) /
        2 ** Math.min(shift, 1000) /
        2 ** Math.max(0, shift - 1000)
    );
}
