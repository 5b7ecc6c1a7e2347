//! Where things lie.

use std::path::{Path, PathBuf};

use super::provision;
use super::server::{Double, Server};

/// Paths of one stack. Stacks share the servers' programs, nothing else.
#[derive(Clone)]
pub struct Layout {
    root: PathBuf,
    name: String,
    home: PathBuf,
    double: Double,
}

impl Layout {
    /// The stack of this name in the workspace `root`; the one without a name is `cargo xtask stack`'s own.
    pub fn new(root: &Path, name: &str) -> Self {
        let home = root.join("target/stack").join(name);
        Self { root: root.to_owned(), name: name.to_owned(), home, double: Double::default() }
    }

    /// The same, where this stands in for DynamoDB.
    pub fn with(self, double: Double) -> Self {
        Self { double, ..self }
    }

    /// What stands in for DynamoDB.
    pub fn double(&self) -> Double {
        self.double
    }

    /// The stack's name.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// The programs of all servers.
    pub fn servers(&self) -> PathBuf {
        self.root.join("target/stack/servers")
    }

    /// The programs of one.
    pub fn server(&self, server: Server) -> PathBuf {
        self.servers().join(provision::directory_name(server, self.double))
    }

    /// The directory of this stack.
    pub fn home(&self) -> &Path {
        &self.home
    }

    /// Addresses, for whoever uses the stack: what `DVSS_TEST_STACK` names.
    pub fn addresses(&self) -> PathBuf {
        self.home.join("stack.json")
    }

    /// A configuration of dvss on the stack, as it is written for users.
    pub fn configuration(&self) -> PathBuf {
        self.home.join("dvss.yaml")
    }

    /// What was started, to be stopped.
    pub fn record(&self) -> PathBuf {
        self.home.join("processes.json")
    }

    /// Held while somebody starts or stops servers of this stack.
    pub fn lock(&self) -> PathBuf {
        self.home.join("lock")
    }

    /// The servers' logs.
    pub fn logs(&self) -> PathBuf {
        self.home.join("logs")
    }

    /// The log of one server.
    pub fn log(&self, server: Server) -> PathBuf {
        self.logs().join(format!("{}.log", server.name()))
    }

    /// What the servers keep.
    pub fn all_data(&self) -> PathBuf {
        self.home.join("data")
    }

    /// What one keeps.
    pub fn data(&self, server: Server) -> PathBuf {
        self.all_data().join(server.name())
    }

    /// The broker's settings.
    pub fn kafka_properties(&self) -> PathBuf {
        self.all_data().join("kafka.properties")
    }

    /// The broker's private key and certificate.
    pub fn kafka_key(&self) -> PathBuf {
        self.all_data().join("kafka.p12")
    }

    /// Its certificate alone, for clients to trust.
    pub fn kafka_certificate(&self) -> PathBuf {
        self.all_data().join("kafka.pem")
    }

    /// The broker's logging.
    pub fn log4j(&self) -> PathBuf {
        self.root.join("xtask/stack/log4j2.properties")
    }

    /// DynamoDB Local's main class.
    pub fn loopback(&self) -> PathBuf {
        self.root.join("xtask/stack/Loopback.java")
    }
}
