//! Upstream's tables, and what follows from its code where it is odd.

use super::*;

fn parse(text: &str) -> Quantity {
    Quantity::parse(text).unwrap_or_else(|error| panic!("{text}: {error}"))
}

#[test]
fn both_parsers_agree() {
    for number in ["0", "1", "7", "8", "100", "1000", "1024", "1536", "123456789"] {
        for suffix in ["", "m", "Ki", "Mi", "Gi", "k", "M", "G"] {
            let text = format!("{number}{suffix}");
            let simple = parse_simple(&text).expect("simple");
            let fully = parse_fully(&text).expect("valid").quantity;
            assert_eq!(simple, fully, "{text}");
            assert_eq!(simple.to_string(), fully.to_string(), "{text}");
        }
    }
}

#[test]
fn canonical_form() {
    // Input, what the server prints.
    let cases = [
        ("0", "0"),
        ("0n", "0"),
        ("0Ki", "0"),
        ("-0", "0"),
        ("1", "1"),
        ("1000", "1k"),
        ("1000000", "1M"),
        ("1500", "1500"),
        ("0.5", "500m"),
        (".5", "500m"),
        ("0.1", "100m"),
        ("1.5", "1500m"),
        ("100m", "100m"),
        ("1000m", "1"),
        ("2000m", "2"),
        ("0.0001", "100u"),
        ("1u", "1u"),
        ("0.1n", "1n"),
        ("1.1n", "2n"),
        ("1e-10", "1e-9"),
        ("1Ki", "1Ki"),
        ("1024Ki", "1Mi"),
        ("1000Ki", "1000Ki"),
        ("1.5Gi", "1536Mi"),
        ("0.5Gi", "512Mi"),
        ("0.5Ki", "512"),
        ("0.0001Ki", "102400u"),
        ("0.00001Ki", "10240u"),
        ("1.1Ki", "1126400m"),
        ("8Ei", "9223372036854775807"),
        ("99Ei", "9223372036854775807"),
        ("-8Ei", "-9223372036854775807"),
        ("1024Pi", "1Ei"),
        ("2048Mi", "2Gi"),
        ("4Gi", "4Gi"),
        ("8146948Ki", "8146948Ki"),
        ("1e3", "1e3"),
        ("1E3", "1E3"),
        ("10e2", "1e3"),
        ("1e4", "10e3"),
        ("1e2", "100"),
        ("1e100", "10e99"),
        ("100e-3", "100e-3"),
        ("12E", "12E"),
        ("-1", "-1"),
        ("-1.5Gi", "-1536Mi"),
        // Kept as they were written.
        ("1.234", "1.234"),
        ("+1", "+1"),
        ("01Ki", "01Ki"),
        ("1.", "1."),
        // Beyond 64 bits.
        ("100000000000000000000", "100E"),
        ("123456789012345678901234567890m", "123456789012345678901234567890m"),
    ];
    for (text, expected) in cases {
        assert_eq!(Quantity::canonicalize(text).expect(text), expected, "{text}");
    }
}

#[test]
fn refusals() {
    let format = "quantities must match the regular expression '^([+-]?[0-9.]+)([eEinumkKMGTP]*[-+]?[0-9]*)$'";
    let suffix = "unable to parse quantity's suffix";
    let cases = [
        ("", format),
        ("abc", format),
        ("1 Gi", format),
        ("1.1.M", format),
        ("1+1.0M", format),
        ("0.1mi", suffix),
        ("0.1am", format),
        ("aoeu", format),
        (".5i", suffix),
        ("1i", suffix),
        ("-3.01i", suffix),
        ("1GB", format),
        ("1gi", format),
        ("1mi", suffix),
        ("1e", suffix),
        ("1Ki5", suffix),
    ];
    for (text, expected) in cases {
        assert_eq!(Quantity::parse(text).expect_err(text).to_string(), expected, "{text}");
    }
}

#[test]
fn integers_are_rounded_away_from_zero() {
    // Input, value, thousandths.
    let cases = [
        ("1", 1, 1000),
        ("100m", 1, 100),
        ("1500m", 2, 1500),
        ("-1500m", -2, -1500),
        ("1n", 1, 1),
        ("1u", 1, 1),
        ("1Ki", 1024, 1_024_000),
        ("1.1Ki", 1127, 1_126_400),
        ("1e3", 1000, 1_000_000),
        ("9223372036854775807", i64::MAX, i64::MAX),
        ("0", 0, 0),
    ];
    for (text, value, milli) in cases {
        assert_eq!(parse(text).value(), value, "{text}");
        assert_eq!(parse(text).milli_value(), milli, "{text}");
    }
}

#[test]
fn arithmetic_and_order() {
    let mut sum = Quantity::ZERO;
    sum.add(parse("512Mi"));
    sum.add(parse("1.5Gi"));
    assert_eq!(sum.to_string(), "2Gi");
    sum.sub(parse("100m"));
    assert_eq!(sum.to_string(), "2147483647900m");
    let mut cpu = parse("1");
    cpu.sub(parse("250m"));
    assert_eq!(cpu.to_string(), "750m");
    cpu.mul(4);
    assert_eq!(cpu.to_string(), "3");
    assert_eq!(parse("1"), parse("1000m"));
    assert!(parse("1Gi") > parse("1G"));
    assert!(parse("1e100") > parse("9E"));
    assert!(parse("-1e100") < parse("1n"));
    assert_eq!(cpu.format(), Format::DecimalSI);
    let mut large = parse("1e60");
    large.add(parse("1n"));
    assert!(large > parse("1e59"));
}

#[test]
fn manifests_may_give_numbers() {
    assert_eq!(Quantity::parse_json(&serde_json::json!(2)), Ok(parse("2")));
    assert_eq!(Quantity::parse_json(&serde_json::json!(0.5)), Ok(parse("500m")));
    assert_eq!(Quantity::parse_json(&serde_json::json!(" 1Gi ")), Ok(parse("1Gi")));
    assert_eq!(Quantity::parse_json(&serde_json::json!(true)), Err(ParseError::Format));
}
