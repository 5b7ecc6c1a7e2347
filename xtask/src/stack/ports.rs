//! Free loopback ports that stay free while a server restarts.

use std::fs;
use std::net::{Ipv4Addr, TcpListener};
use std::ops::Range;

use anyhow::Context;

/// Free ports, all different.
pub fn free<const COUNT: usize>() -> anyhow::Result<[u16; COUNT]> {
    let kernels = fs::read_to_string("/proc/sys/net/ipv4/ip_local_port_range").unwrap_or_default();
    // Two stacks that start at once begin their search at different places.
    let start = std::process::id();
    choose(range(&kernels), start, |port| TcpListener::bind((Ipv4Addr::LOCALHOST, port)).is_ok())
        .context("no free port on the loopback interface")
}

/// Where to search: below the ports that the kernel gives to outgoing connections. From among those, a client
/// that reconnects to a stopped server can be given the server's own port, and then meets only itself.
fn range(kernels: &str) -> Range<u16> {
    let lowest = kernels.split_whitespace().next().and_then(|word| word.parse::<u16>().ok());
    let end = lowest.filter(|lowest| *lowest >= 4_096).unwrap_or(32_768);
    end / 2..end
}

fn choose<const COUNT: usize>(
    range: Range<u16>,
    start: u32,
    is_free: impl Fn(u16) -> bool,
) -> Option<[u16; COUNT]> {
    let width = u32::from(range.end - range.start);
    let found: Vec<u16> = (0..width)
        // A stride without a divisor in common with any width that matters visits every port.
        .map(|step| start.wrapping_add(step).wrapping_mul(7_919) % width)
        .filter_map(|offset| u16::try_from(offset).ok().map(|offset| range.start + offset))
        .filter(|port| is_free(*port))
        .take(COUNT)
        .collect();
    found.try_into().ok()
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    #[test]
    fn searches_below_the_ports_of_outgoing_connections() {
        for (kernels, expected) in [
            ("32768\t60999\n", 16_384..32_768),
            ("10000 65535", 5_000..10_000),
            ("1024 65535", 16_384..32_768),
            ("", 16_384..32_768),
        ] {
            assert_eq!(range(kernels), expected, "{kernels:?}");
        }
    }

    #[test]
    fn chooses_different_free_ports_within_the_range() {
        for start in [0, 1, 77, u32::MAX - 3] {
            let ports = choose::<5>(20_000..20_100, start, |port| port % 2 == 0).expect("fifty are free");
            assert_eq!(BTreeSet::from(ports).len(), 5, "{ports:?}");
            assert!(ports.iter().all(|port| (20_000..20_100).contains(port) && port % 2 == 0), "{ports:?}");
        }
        assert_eq!(choose::<2>(20_000..20_100, 5, |port| port == 20_042), None);
        assert_eq!(choose::<1>(20_000..20_100, 5, |port| port == 20_042), Some([20_042]));
    }
}
