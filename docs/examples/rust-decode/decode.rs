//! Checks a decoder of all seven formats by the `.hex` files of `spec_vectors/decode`.
//!
//!     decode FILE.hex...
//!
//! Exit status 0: every case passes; 1: some fail; 2: a file cannot be used.

use std::process::ExitCode;

/// How the bits of a format are divided, and which of its codes are no numbers.
struct Float {
    exponent_bits: u32,
    mantissa_bits: u32,
    bias: i32,
    /// Codes from here on, without the sign, are NaN.
    first_nan: u32,
    infinity: Option<u32>,
}

impl Float {
    const fn of_numbers(exponent_bits: u32, mantissa_bits: u32, bias: i32) -> Self {
        Float {
            exponent_bits,
            mantissa_bits,
            bias,
            first_nan: u32::MAX,
            infinity: None,
        }
    }
}

const E4M3: Float = Float {
    first_nan: 0x7f,
    ..Float::of_numbers(4, 3, 7)
};
const E5M2: Float = Float {
    first_nan: 0x7d,
    infinity: Some(0x7c),
    ..Float::of_numbers(5, 2, 15)
};
const E3M2: Float = Float::of_numbers(3, 2, 3);
const E2M3: Float = Float::of_numbers(2, 3, 1);
const E2M1: Float = Float::of_numbers(2, 1, 1);

/// 2 to a power that float64 has as a normal number.
fn power_of_two(exponent: i32) -> f64 {
    f64::from_bits(((1023 + exponent) as u64) << 52)
}

fn decode_float(code: u32, format: &Float) -> f32 {
    let sign_bit = 1 << (format.exponent_bits + format.mantissa_bits);
    let magnitude = code & (sign_bit - 1);
    let value = if Some(magnitude) == format.infinity {
        f32::INFINITY
    } else if magnitude >= format.first_nan {
        f32::NAN
    } else {
        let biased = magnitude >> format.mantissa_bits;
        let mantissa = magnitude & ((1 << format.mantissa_bits) - 1);
        // Subnormals have the exponent of the least normal number, and no leading one.
        let leading = u32::from(biased > 0) << format.mantissa_bits;
        let exponent = biased.max(1) as i32 - format.bias - format.mantissa_bits as i32;
        (f64::from(leading | mantissa) * power_of_two(exponent)) as f32
    };
    if code & sign_bit == 0 {
        value
    } else {
        -value
    }
}

fn decode(format: &str, code: u32) -> Option<f32> {
    Some(match format {
        "e4m3" => decode_float(code, &E4M3),
        "e5m2" => decode_float(code, &E5M2),
        "e3m2" => decode_float(code, &E3M2),
        "e2m3" => decode_float(code, &E2M3),
        "e2m1" => decode_float(code, &E2M1),
        "int8" => f32::from(code as u8 as i8) / 64.0,
        "e8m0" if code == 0xff => f32::NAN,
        "e8m0" => power_of_two(code as i32 - 127) as f32, // 00 is a subnormal of float32
        _ => return None,
    })
}

/// Equality of bits, and under `any-nan` of any two NaN.
fn same(got: u32, want: u32, any_nan: bool) -> bool {
    got == want || any_nan && f32::from_bits(got).is_nan() && f32::from_bits(want).is_nan()
}

/// What a comment line says after a word, up to the next comma or semicolon.
fn after<'a>(header: &'a str, word: &str) -> Option<&'a str> {
    let rest = &header[header.find(word)? + word.len()..];
    rest.split([',', ';', '\n']).next().map(str::trim)
}

/// Checks one file; returns how many cases fail.
fn check(path: &str) -> Result<usize, String> {
    let text = std::fs::read_to_string(path).map_err(|error| error.to_string())?;
    let is_comment = |line: &&str| line.starts_with("//");
    let header = text
        .lines()
        .take_while(is_comment)
        .collect::<Vec<_>>()
        .join("\n");
    let format = after(&header, ": decode ").ok_or("not a file of decode vectors")?;
    let any_nan = header
        .lines()
        .any(|line| line.contains("compare:") && line.contains("any-nan"));
    let promised = header
        .lines()
        .nth(1)
        .and_then(|line| line.split(' ').nth(1));

    let (mut cases, mut failed) = (0usize, 0usize);
    for line in text.lines().skip_while(is_comment) {
        // id verdict members code (float32 repeated `members` times)
        let words = line
            .split(' ')
            .map(|word| u64::from_str_radix(word, 16))
            .collect::<Result<Vec<_>, _>>()
            .map_err(|error| format!("{line:?}: {error}"))?;
        let (id, verdict, members, code, allowed) = match words.as_slice() {
            [id, verdict, members, code, allowed @ ..] => (id, verdict, members, code, allowed),
            _ => return Err(format!("{line:?}: too short")),
        };
        if allowed.len() as u64 != *members {
            return Err(format!("{line:?}: not {members} members"));
        }
        let value = decode(format, *code as u32).ok_or(format!("unknown format {format}"))?;
        let got = value.to_bits();
        let is_open = *verdict == 2; // never fails
        if !is_open && !allowed.iter().any(|&want| same(got, want as u32, any_nan)) {
            println!("{id:012x}: {format} {code:02x} gives {got:08x}, not one of {allowed:08x?}");
            failed += 1;
        }
        cases += 1;
    }
    if promised != Some(cases.to_string().as_str()) {
        return Err("truncated".to_string());
    }
    println!("{format}: {cases} cases, {failed} failed");
    Ok(failed)
}

fn main() -> ExitCode {
    let paths: Vec<String> = std::env::args().skip(1).collect();
    if paths.is_empty() {
        eprintln!("give the .hex files of spec_vectors/decode");
        return ExitCode::from(2);
    }
    let mut failed = 0;
    for path in paths {
        match check(&path) {
            Ok(count) => failed += count,
            Err(reason) => {
                eprintln!("{path}: {reason}");
                return ExitCode::from(2);
            }
        }
    }
    ExitCode::from(u8::from(failed > 0))
}
