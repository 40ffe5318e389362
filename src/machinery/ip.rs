//! IP addresses and CIDR blocks as the API accepts them.
//!
//! Follows `apimachinery/pkg/util/validation/ip.go` and the sloppy parsers of `k8s.io/utils/net`,
//! which allow leading zeros in IPv4 addresses and take IPv4 addresses mapped into IPv6 for IPv4.

use std::fmt;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use super::field::Path;
use super::quote::quote;

/// Says that a value is no address at all.
pub const INVALID_IP: &str = "must be a valid IP address, (e.g. 10.9.8.7 or 2001:db8::ffff)";
/// Says that a value is no IPv4 address.
pub const INVALID_IPV4: &str = "must be a valid IPv4 address";
/// Says that a value is no IPv6 address.
pub const INVALID_IPV6: &str = "must be a valid IPv6 address";
/// Says that a value is no block of addresses.
pub const INVALID_CIDR: &str = "must be a valid CIDR value, (e.g. 10.9.8.0/24 or 2001:db8::/64)";

/// Reads an address (`ParseIPSloppy`).
pub fn parse_ip(text: &str) -> Option<IpAddr> {
    match parse_ipv4(text) {
        Some(address) => Some(IpAddr::V4(address)),
        None => parse_ipv6(text).map(unmapped),
    }
}

fn parse_ipv4(text: &str) -> Option<Ipv4Addr> {
    let mut octets = [0; 4];
    let mut parts = text.split('.');
    for octet in &mut octets {
        let part = parts.next()?;
        if part.is_empty() || !part.bytes().all(|byte| byte.is_ascii_digit()) {
            return None;
        }
        let digits = part.trim_start_matches('0');
        *octet = if digits.is_empty() { 0 } else { digits.parse().ok()? };
    }
    parts.next().is_none().then(|| Ipv4Addr::from(octets))
}

fn parse_ipv6(text: &str) -> Option<Ipv6Addr> {
    match text.rsplit_once(':') {
        Some((begin, end)) if end.contains('.') => format!("{begin}:{}", parse_ipv4(end)?).parse().ok(),
        _ => text.parse().ok(),
    }
}

/// Addresses that are IPv4 inside of IPv6 are IPv4 to upstream.
fn unmapped(address: Ipv6Addr) -> IpAddr {
    address.to_ipv4_mapped().map_or(IpAddr::V6(address), IpAddr::V4)
}

/// A block of addresses, with the address that it was written with.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Cidr {
    /// The address before the slash.
    pub address: IpAddr,
    /// The first address of the block.
    pub network: IpAddr,
    /// How many leading bits the block's addresses have in common.
    pub prefix: u8,
}

impl Cidr {
    /// Reads a block (`ParseCIDRSloppy`).
    pub fn parse(text: &str) -> Option<Self> {
        let (address, prefix) = text.split_once('/')?;
        if prefix.is_empty() || !prefix.bytes().all(|byte| byte.is_ascii_digit()) {
            return None;
        }
        let prefix: u8 = prefix.parse().ok()?;
        if let Some(address) = parse_ipv4(address) {
            return Self::new(IpAddr::V4(address), prefix);
        }
        let address = parse_ipv6(address)?;
        match (unmapped(address), prefix.checked_sub(96)) {
            (IpAddr::V4(address), Some(prefix)) => Self::new(IpAddr::V4(address), prefix),
            _ => Self::new(IpAddr::V6(address), prefix),
        }
    }

    /// The block around an address; none if the prefix is longer than the address.
    pub fn new(address: IpAddr, prefix: u8) -> Option<Self> {
        let network = match address {
            IpAddr::V4(address) => {
                let host_bits = 32u8.checked_sub(prefix)?;
                let mask = u32::MAX.checked_shl(u32::from(host_bits)).unwrap_or(0);
                IpAddr::V4(Ipv4Addr::from(u32::from(address) & mask))
            }
            IpAddr::V6(address) => {
                let host_bits = 128u8.checked_sub(prefix)?;
                let mask = u128::MAX.checked_shl(u32::from(host_bits)).unwrap_or(0);
                IpAddr::V6(Ipv6Addr::from(u128::from(address) & mask))
            }
        };
        Some(Self { address, network, prefix })
    }

    /// Whether an address is in the block.
    pub fn contains(self, address: IpAddr) -> bool {
        Self::new(address, self.prefix).is_some_and(|other| other.network == self.network)
    }

    fn address_bits(self) -> u8 {
        if self.address.is_ipv4() { 32 } else { 128 }
    }
}

impl fmt::Display for Cidr {
    /// The block itself, from its first address.
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "{}/{}", self.network, self.prefix)
    }
}

/// An address (`IsValidIP`).
pub fn is_ip(value: &str) -> Vec<String> {
    refuse(parse_ip(value).is_some(), INVALID_IP)
}

/// An IPv4 address (`IsValidIPv4Address`).
pub fn is_ipv4(value: &str) -> Vec<String> {
    refuse(parse_ip(value).is_some_and(|address| address.is_ipv4()), INVALID_IPV4)
}

/// An IPv6 address (`IsValidIPv6Address`).
pub fn is_ipv6(value: &str) -> Vec<String> {
    refuse(parse_ip(value).is_some_and(|address| address.is_ipv6()), INVALID_IPV6)
}

/// A block of addresses (`IsValidCIDR`).
pub fn is_cidr(value: &str) -> Vec<String> {
    refuse(Cidr::parse(value).is_some(), INVALID_CIDR)
}

fn refuse(is_valid: bool, message: &str) -> Vec<String> {
    if is_valid { Vec::new() } else { vec![message.to_owned()] }
}

/// What an unusual but accepted way of writing an address is answered with (`GetWarningsForIP`).
pub fn warnings_for_ip(path: &Path, value: &str) -> Vec<String> {
    let Some(address) = parse_ip(value) else {
        return Vec::new();
    };
    let shown = quote(value);
    let canonical = quote(&address.to_string());
    match value.parse::<IpAddr>() {
        Ok(strict) if strict == address => match address {
            IpAddr::V6(address) if address.to_string() != value => {
                vec![format!("{path}: IPv6 address {shown} should be in RFC 5952 canonical format ({canonical})")]
            }
            _ => Vec::new(),
        },
        _ => vec![format!(
            "{path}: non-standard IP address {shown} will be considered invalid in a future Kubernetes release: use {canonical}"
        )],
    }
}

/// What an unusual but accepted way of writing a block is answered with (`GetWarningsForCIDR`).
pub fn warnings_for_cidr(path: &Path, value: &str) -> Vec<String> {
    let Some(cidr) = Cidr::parse(value) else {
        return Vec::new();
    };
    let mut warnings = Vec::new();
    let shown = quote(value);
    let canonical = quote(&cidr.to_string());
    if cidr.address != cidr.network {
        let single = quote(&format!("{}/{}", cidr.address, cidr.address_bits()));
        warnings.push(format!(
            "{path}: CIDR value {shown} is ambiguous in this context (should be {canonical} or {single}?)"
        ));
    }
    let strict = value.split_once('/').and_then(|(address, prefix)| {
        let address: IpAddr = address.parse().ok()?;
        (address == cidr.address && (prefix == "0" || !prefix.starts_with('0'))).then_some(address)
    });
    match strict {
        None => warnings.push(format!(
            "{path}: non-standard CIDR value {shown} will be considered invalid in a future Kubernetes release: use {canonical}"
        )),
        Some(address) => {
            let written = format!("{address}/{}", cidr.prefix);
            if warnings.is_empty() && address.is_ipv6() && written != value {
                let written = quote(&written);
                warnings.push(format!(
                    "{path}: IPv6 CIDR value {shown} should be in RFC 5952 canonical format ({written})"
                ));
            }
        }
    }
    warnings
}

#[cfg(test)]
mod tests {
    use expect_test::expect;

    use super::*;

    #[test]
    fn addresses() {
        for value in ["1.2.3.4", "010.002.3.4", "::1", "2001:db8::ffff", "::ffff:1.2.3.4", "::ffff:1.2.3.04"] {
            assert!(is_ip(value).is_empty(), "{value}");
        }
        for value in ["", "1.2.3", "1.2.3.4.5", "1.2.3.256", "1.2.3.4/24", "fe80::1%eth0", "localhost", "1.2.3.-4"] {
            assert_eq!(is_ip(value), [INVALID_IP], "{value}");
        }
        assert!(is_ipv4("::ffff:1.2.3.4").is_empty());
        assert_eq!(is_ipv6("::ffff:1.2.3.4"), [INVALID_IPV6]);
        assert_eq!(is_ipv4("::1"), [INVALID_IPV4]);
    }

    #[test]
    fn blocks() {
        for value in ["10.0.0.0/8", "1.2.3.4/32", "0.0.0.0/0", "::/0", "2001:db8::/64", "::ffff:10.0.0.0/104"] {
            assert!(is_cidr(value).is_empty(), "{value}");
        }
        for value in ["10.0.0.0", "10.0.0.0/33", "::/129", "10.0.0.0/-1", "10.0.0.0/", "x/8"] {
            assert_eq!(is_cidr(value), [INVALID_CIDR], "{value}");
        }
        let block = Cidr::parse("10.244.3.7/16").expect("valid");
        assert_eq!(block.to_string(), "10.244.0.0/16");
        assert!(block.contains(IpAddr::from([10, 244, 255, 1])));
        assert!(!block.contains(IpAddr::from([10, 245, 0, 0])));
        assert!(Cidr::parse("::/0").is_some_and(|all| all.contains("::1".parse().expect("valid"))));
    }

    #[test]
    fn warnings() {
        let path = Path::new("spec").child("ip");
        let mut shown = String::new();
        for value in ["1.2.3.4", "01.2.3.4", "::ffff:1.2.3.4", "2001:DB8::0", "::1"] {
            for warning in warnings_for_ip(&path, value) {
                shown.push_str(&format!("{warning}\n"));
            }
        }
        for value in ["10.0.0.0/8", "10.1.2.3/8", "010.0.0.0/8", "10.0.0.0/08", "2001:DB8::/64"] {
            for warning in warnings_for_cidr(&path, value) {
                shown.push_str(&format!("{warning}\n"));
            }
        }
        expect![[r#"
            spec.ip: non-standard IP address "01.2.3.4" will be considered invalid in a future Kubernetes release: use "1.2.3.4"
            spec.ip: non-standard IP address "::ffff:1.2.3.4" will be considered invalid in a future Kubernetes release: use "1.2.3.4"
            spec.ip: IPv6 address "2001:DB8::0" should be in RFC 5952 canonical format ("2001:db8::")
            spec.ip: CIDR value "10.1.2.3/8" is ambiguous in this context (should be "10.0.0.0/8" or "10.1.2.3/32"?)
            spec.ip: non-standard CIDR value "010.0.0.0/8" will be considered invalid in a future Kubernetes release: use "10.0.0.0/8"
            spec.ip: non-standard CIDR value "10.0.0.0/08" will be considered invalid in a future Kubernetes release: use "10.0.0.0/8"
            spec.ip: IPv6 CIDR value "2001:DB8::/64" should be in RFC 5952 canonical format ("2001:db8::/64")
        "#]]
        .assert_eq(&shown);
    }
}
