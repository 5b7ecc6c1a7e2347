//! # gateway: the door for vendors
//!
//! One function, [`Acceptor::accept`], decides what becomes of an event and makes it durable; every
//! door calls it. The HTTP door is [`Gateway::serve`], the Kafka door [`Gateway::inbound`].
//!
//! A 2xx means that the bytes are in the raw bucket and a record is in `dvss.raw`, reported by the
//! log. Whatever fails on the way is a 503 (or 507 where the disk is full), and the vendor's retry is
//! safe: ids are derived, not drawn, so it finds what the first try left behind.
//!
//! | module | what |
//! |---|---|
//! | `decide` | pure: reading a submission, ordering keys, header values |
//! | `accept` | the steps from a submission to an outcome |
//! | `directory` | who the credential says it is |
//! | `admission` | how fast, and how many at once |
//! | `http` | the HTTP door |
//! | `inbound` | the Kafka door |

mod accept;
mod admission;
mod decide;
mod directory;
mod http;
mod inbound;
mod options;

use std::sync::Arc;

use admission::Admission;
use directory::Directory;
use invoices::Invoices;
use tokio::net::TcpListener;
use tokio_util::sync::CancellationToken;

pub use accept::{Acceptor, Outcome};
pub use decide::{Form, Submission};
pub use inbound::Inbound;
pub use options::{Options, Rate};

/// The gateway: its doors, ready to serve.
#[derive(Clone)]
pub struct Gateway {
    door: Arc<http::Door>,
    inbound: Arc<Inbound>,
}

impl Gateway {
    /// A gateway on these ports. Touches nothing yet.
    pub fn new(ports: ports::Ports, options: Options) -> Self {
        let acceptor = Acceptor::new(ports.clone(), options.clone());
        let tables = Arc::clone(&ports.tables);
        let directory = Arc::new(Directory::new(tables, options.vendor_cache, options.store_timeout));
        // A vendor has one rate, whichever doors it comes through.
        let admission = Arc::new(Admission::new(
            options.default_rate,
            options.max_in_flight,
            options.max_in_flight_per_vendor,
        ));
        let inbound = Inbound::new(
            acceptor.clone(),
            Arc::clone(&directory),
            Arc::clone(&admission),
            options.max_body_bytes,
        );
        let invoices =
            Invoices::new(ports.clone(), invoices::Options::default(), invoices::drawn_by_the_machine());
        let door = http::Door { acceptor, directory, admission, ports, options, invoices };
        Self { door: Arc::new(door), inbound: Arc::new(inbound) }
    }

    /// The same, with these settings of invoices.
    pub fn with_invoices(self, options: invoices::Options) -> Self {
        let door = &*self.door;
        let invoices = Invoices::new(door.ports.clone(), options, invoices::drawn_by_the_machine());
        Self { door: Arc::new(http::Door { invoices, ..door.clone() }), ..self }
    }

    /// Serves vendors on `listener` until `shutdown`; then takes no more connections, finishes the
    /// requests at hand within the drain time-out, and returns.
    pub async fn serve(&self, listener: TcpListener, shutdown: CancellationToken) -> std::io::Result<()> {
        http::serve(Arc::clone(&self.door), listener, shutdown).await
    }

    /// What the loop runs on the vendors' topics.
    pub fn inbound(&self) -> Arc<Inbound> {
        Arc::clone(&self.inbound)
    }
}
