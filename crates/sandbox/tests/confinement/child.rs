//! What the child does: `child MODE [NUMBER] --limits JSON [--probe]`.

use std::fs::File;
use std::io::{self, Write as _};
use std::net::{Ipv4Addr, TcpStream, UdpSocket};
use std::process::{Command, ExitCode};

use sandbox::{Layers, Limits};

pub fn main() -> ExitCode {
    let arguments: Vec<_> = std::env::args().skip(2).collect();
    let limits = behind(&arguments, sandbox::LIMITS_ARGUMENT).expect("limits");
    let limits = Limits::from_argument(limits).expect("limits");
    let probe = arguments.iter().any(|argument| argument == sandbox::PROBE_ARGUMENT);
    let number = arguments.get(1).and_then(|number| number.parse().ok()).unwrap_or(0);
    match arguments[0].as_str() {
        "bare" => bare(),
        "open" => open(&limits),
        "layers" => layers(&limits, &arguments[1]),
        mode => sandbox::serve(&limits, probe, |document| work(mode, number, document)),
    }
}

fn behind<'a>(arguments: &'a [String], name: &str) -> Option<&'a str> {
    let at = arguments.iter().position(|argument| argument == name)?;
    arguments.get(at + 1).map(String::as_str)
}

fn work(mode: &str, number: usize, document: Vec<u8>) -> Result<Vec<u8>, String> {
    match mode {
        "echo" => Ok(document),
        "refuse" => Err("no".to_owned()),
        "panic" => panic!("a parser's mistake"),
        "spin" => loop {
            std::hint::spin_loop();
        },
        "park" => loop {
            std::thread::park();
        },
        "allocate" => {
            let most = std::hint::black_box(vec![1_u8; number << 20]);
            Ok(most[most.len() - 1..].to_vec())
        }
        "allocate-pieces" => {
            let pieces: Vec<_> = (0..number).map(|_| std::hint::black_box(vec![1_u8; 1 << 20])).collect();
            Ok(pieces.len().to_string().into_bytes())
        }
        "recurse" => Ok(vec![recurse(0)]),
        "write" => {
            let chunk = vec![b'x'; 1 << 20];
            (0..number)
                .try_for_each(|_| io::stdout().write_all(&chunk))
                .map_err(|error| error.to_string())?;
            Ok(Vec::new())
        }
        "complain" => {
            (0..number).for_each(|line| eprintln!("complaint {line}"));
            Err("enough".to_owned())
        }
        "attempt" => Ok(attempts().into_bytes()),
        other => Err(format!("unknown mode {other}")),
    }
}

#[expect(unconditional_recursion, reason = "a document may ask for it")]
fn recurse(depth: u64) -> u8 {
    let frame = std::hint::black_box([depth; 64]);
    recurse(depth + 1).wrapping_add(frame[0] as u8)
}

/// What a child has without any confinement: descriptors, environment, directory.
#[expect(clippy::disallowed_methods, reason = "it must have none")]
fn bare() -> ExitCode {
    for entry in std::fs::read_dir("/proc/self/fd").expect("descriptors").flatten() {
        let to = std::fs::read_link(entry.path()).unwrap_or_default();
        println!("fd {} {}", entry.file_name().display(), to.display());
    }
    for (name, _) in std::env::vars_os() {
        println!("env {}", name.display());
    }
    println!("cwd {}", std::env::current_dir().expect("directory").display());
    ExitCode::SUCCESS
}

/// What descriptors are left to a confined process.
fn open(limits: &Limits) -> ExitCode {
    let none = Layers { descriptors: false, landlock: false, seccomp: false };
    sandbox::confine_with(limits, none).expect("a confinement");
    bare()
}

/// One layer alone, and what it denies.
fn layers(limits: &Limits, named: &str) -> ExitCode {
    let layers = Layers {
        descriptors: named == "descriptors",
        landlock: named == "landlock",
        seccomp: named == "seccomp",
    };
    let confinement = sandbox::confine_with(limits, layers).expect("a confinement");
    println!("landlock abi {}", confinement.landlock);
    println!("seccomp {}", confinement.seccomp);
    print!("{}", attempts());
    ExitCode::SUCCESS
}

fn attempts() -> String {
    fn line<T>(what: &str, outcome: io::Result<T>) -> String {
        let answer = outcome.map_or_else(|error| error.to_string(), |_| "done".to_owned());
        format!("{what}: {answer}\n")
    }
    [
        line("tcp", TcpStream::connect((Ipv4Addr::LOCALHOST, 9))),
        line("udp", UdpSocket::bind((Ipv4Addr::LOCALHOST, 0))),
        line("file", File::open("/proc/self/exe")),
        line("create", File::create("/tmp/sandbox-test-must-not-be")),
        line("process", Command::new("/proc/self/exe").args(["--list"]).status()),
        line("thread", std::thread::Builder::new().spawn(|| ()).map(std::thread::JoinHandle::join)),
        line("metadata", std::fs::metadata("/")),
    ]
    .concat()
}
