//! The tests.

use std::fs::File;
use std::io::Write as _;
use std::net::TcpListener;
use std::time::Duration;

use bytes::Bytes;
use libtest_mimic::Trial;
use rustix::io::{FdFlags, fcntl_setfd};
use rustix::process::{Pid, Signal, kill_process};
use sandbox::{Cause, Ended, Error, Input, Limits, exit};

use crate::support::{
    block_on, children, descriptors, done, killed, limits, probe, program, run, start, text, until,
};

const MIB: u64 = 1 << 20;

pub fn tests() -> Vec<Trial> {
    let tests: [(&str, fn()); 19] = [
        ("this_machine_meets_the_minimum", this_machine_meets_the_minimum),
        ("nothing_is_handed_down", nothing_is_handed_down),
        ("sockets_files_processes_and_threads_are_denied", everything_is_denied),
        ("each_layer_denies_alone", each_layer_denies_alone),
        ("a_loop_is_ended_by_either_clock", a_loop_is_ended_by_either_clock),
        ("a_child_that_waits_is_ended", a_child_that_waits_is_ended),
        ("memory_is_bounded", memory_is_bounded),
        ("recursion_is_bounded", recursion_is_bounded),
        ("output_is_bounded", output_is_bounded),
        ("stderr_keeps_its_end", stderr_keeps_its_end),
        ("a_refusal_and_a_panic_have_codes", a_refusal_and_a_panic_have_codes),
        ("a_kill_from_outside_is_told", a_kill_from_outside_is_told),
        ("a_dropped_run_leaves_nothing", a_dropped_run_leaves_nothing),
        ("documents_come_from_bytes_and_files", documents_come_from_bytes_and_files),
        ("documents_are_bounded_and_safe_to_hand_over", documents_are_bounded),
        ("a_child_need_not_read", a_child_need_not_read),
        ("what_it_took_is_told", what_it_took_is_told),
        ("children_do_not_mix", children_do_not_mix),
        ("a_hundred_runs_leave_nothing", a_hundred_runs_leave_nothing),
    ];
    let trial = |(name, test): (&str, fn())| {
        Trial::test(name, move || {
            test();
            Ok(())
        })
    };
    tests.into_iter().map(trial).collect()
}

fn this_machine_meets_the_minimum() {
    let report = probe();
    println!("{report}");
    assert!(report.meets_minimum(), "no document may be parsed on this machine: {report}");
    let open: Vec<_> = report.trials.iter().filter(|trial| !trial.denied).collect();
    assert!(open.is_empty() || !report.confinement.seccomp, "with seccomp all is denied: {open:?}");
}

fn nothing_is_handed_down() {
    let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
    let file = File::open(program()).expect("a file");
    // A C library may open without CLOEXEC; so may whoever started this process.
    let leak = tempfile();
    fcntl_setfd(&leak, FdFlags::empty()).expect("no CLOEXEC");
    let bare = text(run(&["bare"], "", &limits()));
    assert!(bare.contains("/tmp/"), "the leak is one: {bare}");
    assert!(!bare.contains("socket:") && !bare.contains(program().to_str().expect("UTF-8")), "{bare}");

    let seen = text(run(&["open"], "", &limits()));
    drop((listener, file, leak));
    let (descriptors, rest): (Vec<_>, Vec<_>) = seen.lines().partition(|line| line.starts_with("fd "));
    // The fourth is the listing itself; the child's `/proc/self/status` is closed by then.
    assert_eq!(descriptors.len(), 4, "{seen}");
    assert_eq!(descriptors.iter().filter(|line| line.contains(" pipe:")).count(), 3, "{seen}");
    assert_eq!(rest, ["cwd /"], "no environment");
}

fn everything_is_denied() {
    let seen = text(run(&["attempt"], "", &limits()));
    assert_eq!(seen.lines().count(), 7, "{seen}");
    for line in seen.lines() {
        assert!(line.ends_with("(os error 1)"), "{line}");
    }
    assert!(!std::path::Path::new("/tmp/sandbox-test-must-not-be").exists());
}

fn each_layer_denies_alone() {
    let seen = text(run(&["layers", "seccomp"], "", &limits()));
    assert!(seen.contains("seccomp true"), "{seen}");
    assert_eq!(seen.matches("(os error 1)").count(), 7, "{seen}");

    let seen = text(run(&["layers", "descriptors"], "", &limits()));
    for what in ["tcp", "udp", "file", "create"] {
        assert!(seen.contains(&format!("{what}: Too many open files (os error 24)")), "{seen}");
    }

    let seen = text(run(&["layers", "landlock"], "", &limits()));
    let abi = seen.lines().find_map(|line| line.strip_prefix("landlock abi ")?.parse::<u8>().ok());
    let Some(abi @ 1..) = abi else {
        println!("Landlock is not active on this machine, and not tested: {seen}");
        return;
    };
    let denied = |what| seen.contains(&format!("{what}: Permission denied (os error 13)"));
    // Root may have as many processes as it likes; others meet that limit first.
    let no_process =
        denied("process") || seen.contains("process: Resource temporarily unavailable (os error 11)");
    assert!(denied("file") && denied("create") && no_process, "{seen}");
    assert!(abi < 4 || denied("tcp"), "{seen}");
}

fn a_loop_is_ended_by_either_clock() {
    let limits = Limits { cpu: Duration::from_secs(1), ..limits() };
    let by_cpu = run(&["spin"], "", &limits);
    assert_eq!(killed(&by_cpu), Cause::Cpu);
    // The kernel counts ticks for the limit, and runs exactly for the figure: on a busy machine they differ.
    assert!(by_cpu.usage.cpu.is_none_or(|cpu| cpu >= limits.cpu / 2), "{by_cpu:?}");
    let limits = Limits { wall: Duration::from_millis(500), ..limits };
    let by_wall = run(&["spin"], "", &limits);
    assert_eq!(killed(&by_wall), Cause::TimedOut);
    assert!(by_wall.usage.wall >= limits.wall, "{by_wall:?}");
    assert_eq!(children(), Vec::<i32>::new());
}

fn a_child_that_waits_is_ended() {
    let limits = Limits { wall: Duration::from_millis(500), ..limits() };
    assert_eq!(killed(&run(&["park"], "", &limits)), Cause::TimedOut);
    assert_eq!(children(), Vec::<i32>::new());
}

fn memory_is_bounded() {
    let limits = limits();
    // Room that its size promises, whole and in pieces.
    assert_eq!(&done(run(&["allocate", "256"], "", &limits))[..], &[1]);
    assert_eq!(text(run(&["allocate-pieces", "256"], "", &limits)), "256");
    // More: at once, just too much, and in pieces.
    for too_much in [["allocate", "4096"], ["allocate", "513"], ["allocate-pieces", "513"]] {
        assert_eq!(killed(&run(&too_much, "", &limits)), Cause::Memory, "{too_much:?}");
    }
    let more = Limits { memory_bytes: 2_048 * MIB, ..limits };
    assert_eq!(text(run(&["allocate-pieces", "1024"], "", &more)), "1024");
    assert_eq!(killed(&run(&["allocate-pieces", "2049"], "", &more)), Cause::Memory);
}

fn recursion_is_bounded() {
    assert_eq!(killed(&run(&["recurse"], "", &limits())), Cause::Stack);
}

fn output_is_bounded() {
    let limits = Limits { output_bytes: MIB, ..limits() };
    assert_eq!(done(run(&["write", "1"], "", &limits)).len(), 1 << 20);
    assert_eq!(killed(&run(&["write", "1024"], "", &limits)), Cause::Output);
    assert_eq!(
        killed(&run(&["write", "1024"], "", &Limits { output_bytes: 64 * MIB, ..limits })),
        Cause::Output
    );
    assert_eq!(children(), Vec::<i32>::new());
}

fn stderr_keeps_its_end() {
    let Ended::Refused { code, stderr } = run(&["complain", "100000"], "", &limits()).ended else {
        panic!("it complained")
    };
    assert_eq!(code, i32::from(exit::REFUSED));
    assert!(stderr.ends_with("complaint 99999\nenough\n"), "{stderr}");
    assert!(stderr.len() <= 4_096, "{}", stderr.len());
}

fn a_refusal_and_a_panic_have_codes() {
    let refused = run(&["refuse"], "x", &limits());
    assert_eq!(refused.ended, Ended::Refused { code: exit::REFUSED.into(), stderr: "no\n".into() });
    let Ended::Refused { code: 101, stderr } = run(&["panic"], "x", &limits()).ended else {
        panic!("it panicked")
    };
    assert!(stderr.contains("a parser's mistake"), "{stderr}");
    let missing =
        block_on(sandbox::run("/no/such/program".as_ref(), [""; 0], Input::Bytes(Bytes::new()), &limits()));
    assert!(matches!(missing, Err(Error::Process(_))), "{missing:?}");
}

fn a_kill_from_outside_is_told() {
    let run = block_on(async {
        let limits = limits();
        let kill = async {
            until("a child", || !children().is_empty()).await;
            let pid = Pid::from_raw(children()[0]).expect("a pid");
            kill_process(pid, Signal::KILL).expect("killed");
        };
        tokio::join!(start(&["park"], "", &limits), kill).0.expect("a run")
    });
    assert_eq!(killed(&run), Cause::Signal(9));
    assert_eq!(run.usage.peak_bytes, None);
}

fn a_dropped_run_leaves_nothing() {
    block_on(async {
        let limits = limits();
        let run = start(&["spin"], "", &limits);
        let dropped = tokio::time::timeout(Duration::from_millis(300), run).await;
        assert!(dropped.is_err());
        // tokio waits for it when the next child is waited for, or a signal comes.
        until("no children", || children().is_empty()).await;
    });
}

fn documents_come_from_bytes_and_files() {
    let document: Vec<u8> = (0..5 * MIB).map(|at| (at % 251) as u8).collect();
    assert_eq!(done(run(&["echo"], document.clone(), &limits())), document);
    let mut file = tempfile();
    file.write_all(&document).expect("written");
    let mut file = File::open(path_of(&file)).expect("a file");
    // It has been read before: what counts is the whole.
    std::io::copy(&mut file, &mut std::io::sink()).expect("read");
    let run =
        block_on(sandbox::run(&program(), ["child", "echo"], Input::File(file), &limits())).expect("a run");
    assert_eq!(done(run), document);
}

fn documents_are_bounded() {
    let limits = Limits { document_bytes: 10, ..limits() };
    let refused =
        |input| block_on(sandbox::run(&program(), ["child", "echo"], input, &limits)).expect_err("refused");
    let long = refused(Input::Bytes(Bytes::from_static(b"01234567890")));
    assert!(matches!(long, Error::TooLong { bytes: 11, most: 10 }), "{long}");
    let mut file = tempfile();
    assert!(
        matches!(refused(Input::File(file.try_clone().expect("a file"))), Error::Input),
        "it can be written"
    );
    file.write_all(b"01234567890").expect("written");
    let long = refused(Input::File(File::open(path_of(&file)).expect("a file")));
    assert!(matches!(long, Error::TooLong { bytes: 11, most: 10 }), "{long}");
    let device = refused(Input::File(File::open("/dev/zero").expect("a device")));
    assert!(matches!(device, Error::Input), "{device}");
}

fn a_child_need_not_read() {
    // `bare` ends with the document still in the pipe.
    let seen = text(run(&["bare"], vec![0; 10 << 20], &limits()));
    assert!(seen.contains("cwd /"), "{seen}");
}

fn what_it_took_is_told() {
    let ballast = vec![1_u8; 300 << 20];
    let run = run(&["allocate", "64"], "", &limits());
    assert_eq!(std::hint::black_box(&ballast)[0], 1);
    let peak = run.usage.peak_bytes.expect("a peak");
    assert!((64 * MIB..128 * MIB).contains(&peak), "the child's own, not its parent's: {peak}");
    assert!(run.usage.cpu.is_none_or(|cpu| !cpu.is_zero() && cpu <= run.usage.wall), "{run:?}");
    assert!(matches!(run.ended, Ended::Done(_)));
}

fn children_do_not_mix() {
    block_on(async {
        let limits = limits();
        let echo = async |number: usize| {
            let document = vec![number as u8; number << 16];
            let run = start(&["echo"], document.clone(), &limits).await.expect("a run");
            assert_eq!(done(run), document);
        };
        futures::future::join_all((1..=16).map(echo)).await;
    });
    assert_eq!(children(), Vec::<i32>::new());
}

fn a_hundred_runs_leave_nothing() {
    block_on(async {
        let limits = limits();
        start(&["echo"], "x", &limits).await.expect("a run");
        let before = descriptors();
        let mut walls = Vec::new();
        let mut peak = 0;
        for _ in 0..100 {
            let run = start(&["echo"], "x", &limits).await.expect("a run");
            walls.push(run.usage.wall);
            peak = peak.max(run.usage.peak_bytes.expect("a peak"));
            assert_eq!(done(run), "x");
        }
        assert_eq!(descriptors(), before);
        assert_eq!(children(), Vec::<i32>::new());
        walls.sort();
        println!("a run takes {:?} (median), {:?} (p99); peak {} KiB", walls[50], walls[98], peak >> 10);
    });
}

/// A file that nobody else sees, open for reading and writing.
fn tempfile() -> File {
    use rustix::fs::{Mode, OFlags};
    let flags = OFlags::TMPFILE | OFlags::RDWR | OFlags::CLOEXEC;
    File::from(rustix::fs::open("/tmp", flags, Mode::RUSR | Mode::WUSR).expect("a file"))
}

fn path_of(file: &File) -> String {
    use std::os::fd::AsRawFd as _;
    format!("/proc/self/fd/{}", file.as_raw_fd())
}
