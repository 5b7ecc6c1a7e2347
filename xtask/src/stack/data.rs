//! Where servers keep what they are given, from `up` to `down`.

use std::fs;
use std::os::unix::fs::symlink;
use std::path::Path;

use anyhow::Context;

use super::layout::Layout;
use super::server::Server;

/// Memory that looks like a disk, where Linux has it.
const MEMORY: &str = "/dev/shm";
/// What has to be free there, in bytes.
const ROOM: u64 = 2 << 30;

/// Makes empty directories for all servers.
pub fn create(layout: &Layout) -> anyhow::Result<()> {
    for directory in [layout.data(Server::Kafka), layout.data(Server::Registry), layout.logs()] {
        fs::create_dir_all(directory)?;
    }
    for directory in ["buckets", "versions"] {
        fs::create_dir_all(layout.data(Server::S3).join(directory))?;
    }
    // DynamoDB Local waits for the disk at every write, and makes some seventy a second on one. In memory
    // the files survive the server all the same, which is what a restart asks for.
    let dynamodb = layout.data(Server::Dynamodb);
    let memory = Path::new(MEMORY);
    if !has_room(memory) {
        return fs::create_dir_all(&dynamodb).context("cannot make DynamoDB's directory");
    }
    let directory = memory.join(format!("dvss-stack-{}", std::process::id()));
    fs::create_dir(&directory).with_context(|| format!("cannot make {}", directory.display()))?;
    // Here `remove` finds it again.
    symlink(&directory, &dynamodb).context("cannot link DynamoDB's directory")
}

/// Removes them with everything in them.
pub fn remove(layout: &Layout) -> anyhow::Result<()> {
    if let Ok(memory) = fs::read_link(layout.data(Server::Dynamodb)) {
        remove_if_there(&memory)?;
    }
    remove_if_there(&layout.all_data())
}

/// Removes a directory, unless there is none.
pub fn remove_if_there(directory: &Path) -> anyhow::Result<()> {
    match fs::remove_dir_all(directory) {
        Err(error) if error.kind() != std::io::ErrorKind::NotFound => {
            Err(error).with_context(|| format!("cannot remove {}", directory.display()))
        }
        _ => Ok(()),
    }
}

fn has_room(directory: &Path) -> bool {
    rustix::fs::statvfs(directory).is_ok_and(|volume| volume.f_bavail.saturating_mul(volume.f_frsize) >= ROOM)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn removes_what_it_created_also_outside() {
        let root = tempfile::tempdir().expect("a directory");
        let layout = Layout::new(root.path(), "");
        create(&layout).expect("created");
        let dynamodb = layout.data(Server::Dynamodb);
        let really = dynamodb.canonicalize().expect("it exists");
        fs::write(dynamodb.join("file"), "x").expect("written");
        remove(&layout).expect("removed");
        assert!(!really.exists() && !layout.all_data().exists());
        remove(&layout).expect("nothing to remove is no error");
    }
}
