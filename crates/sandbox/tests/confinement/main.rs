//! Each limit, proven: this program is the parent and, with `child` as its first argument, the child.
//!
//! It has no usual harness, because a process confines itself while it has one thread.

#[cfg(not(target_os = "linux"))]
fn main() {
    println!("sandbox: a parser is confined on Linux only");
}

#[cfg(target_os = "linux")]
mod child;
#[cfg(target_os = "linux")]
mod parent;
#[cfg(target_os = "linux")]
mod support;

/// The binary's: what it reserves at the start is what the limit of memory must cope with.
#[cfg(target_os = "linux")]
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

#[cfg(target_os = "linux")]
fn main() -> std::process::ExitCode {
    if std::env::args().nth(1).as_deref() == Some("child") {
        return child::main();
    }
    let mut arguments = libtest_mimic::Arguments::from_args();
    // One after the other: some count this process's descriptors and children.
    arguments.test_threads = Some(1);
    libtest_mimic::run(&arguments, parent::tests()).exit_code()
}
