//! Processor time, as Linux counts it in `/proc`, in hundredths of a second.

use std::time::Duration;

use anyhow::Context as _;

/// USER_HZ is 100 on every Linux that Rust runs on.
const TICK_MILLIS: u64 = 10;

/// User and system time of a process so far (fields 14 and 15 of `/proc/<pid>/stat`).
pub fn of(pid: u32) -> anyhow::Result<Duration> {
    let stat = std::fs::read_to_string(format!("/proc/{pid}/stat")).context("CPU time needs /proc")?;
    let (_, fields) = stat.rsplit_once(") ").context("an odd /proc/<pid>/stat")?;
    ticks(fields.split(' ').skip(11).take(2))
}

/// The same of this process.
pub fn own() -> anyhow::Result<Duration> {
    of(std::process::id())
}

/// What the machine has worked so far, whoever for: user, nice, system, interrupts (fields 1, 2, 3, 6 and 7 of
/// `/proc/stat`). What a hypervisor took away is not in it.
pub fn of_machine() -> anyhow::Result<Duration> {
    let stat = std::fs::read_to_string("/proc/stat").context("CPU time needs /proc")?;
    let line = stat.lines().next().context("an odd /proc/stat")?;
    let fields: Vec<&str> = line.split_whitespace().collect();
    ticks([1, 2, 3, 6, 7].into_iter().filter_map(|place| fields.get(place).copied()))
}

fn ticks<'a>(fields: impl Iterator<Item = &'a str>) -> anyhow::Result<Duration> {
    let counts: Vec<u64> =
        fields.map(str::parse).collect::<Result<_, _>>().context("an odd count in /proc")?;
    Ok(Duration::from_millis(counts.iter().sum::<u64>() * TICK_MILLIS))
}
