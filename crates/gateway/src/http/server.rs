//! The accept loop.

use std::convert::Infallible;
use std::io;
use std::pin::pin;
use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use hyper::body::Incoming;
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::{TokioIo, TokioTimer};
use hyper_util::server::graceful::{GracefulShutdown, Watcher};
use tokio::net::{TcpListener, TcpStream};
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;
use tower::ServiceExt;

use super::connections::{Connections, Place, Watched};
use super::{Door, router};
use crate::Options;

/// Rest behind a failed accept, which is about this process (file descriptors, memory), not a client.
const ACCEPT_PAUSE: Duration = Duration::from_millis(20);
/// Most bytes of a connection's read buffer.
const READ_BUFFER: usize = 64 * 1_024;

/// Serves until `shutdown`, then drains.
pub async fn serve(door: Arc<Door>, listener: TcpListener, shutdown: CancellationToken) -> io::Result<()> {
    let address = listener.local_addr()?;
    tracing::info!(%address, "vendors may send");
    let connections = Connections::new(door.options.max_connections);
    let graceful = GracefulShutdown::new();
    let router = router(Arc::clone(&door));
    let options = Arc::new(door.options.clone());
    loop {
        let accepted = tokio::select! {
            biased;
            () = shutdown.cancelled() => break,
            accepted = listener.accept() => accepted,
        };
        match accepted {
            Ok((stream, _peer)) => match connections.place() {
                Some(place) => {
                    let connection =
                        connection(stream, place, router.clone(), graceful.watcher(), Arc::clone(&options));
                    tokio::spawn(connection);
                }
                None => tracing::warn!("all connections are taken and none idles; one is refused"),
            },
            Err(error) if is_about_the_client(&error) => {}
            Err(error) => {
                tracing::warn!("no connection can be accepted: {error}");
                // Whatever ran out, an idle connection holds some of it.
                let _evicted = connections.evict();
                tokio::time::sleep(ACCEPT_PAUSE).await;
            }
        }
    }
    drop(listener);
    tracing::info!("draining: no more connections; requests at hand are finished");
    let deadline = Instant::now() + door.options.drain_timeout;
    if tokio::time::timeout_at(deadline, graceful.shutdown()).await.is_err() {
        tracing::warn!("connections did not end in time and are closed");
        connections.close();
    }
    // Work outlives a connection that broke off.
    if tokio::time::timeout_at(deadline, door.admission.idle()).await.is_err() {
        tracing::warn!("requests were not settled in time; their vendors got no answer and will send again");
    }
    Ok(())
}

async fn connection(
    stream: TcpStream,
    place: Place,
    router: Router,
    watcher: Watcher,
    options: Arc<Options>,
) {
    // Answers are small and vendors wait for them.
    let _best_effort = stream.set_nodelay(true);
    let activity = Arc::clone(&place.activity);
    let service = service_fn(|request: hyper::Request<Incoming>| {
        let busy = activity.begin();
        let answer = router.clone().oneshot(request);
        async move {
            let answer: Result<_, Infallible> = answer.await;
            drop(busy);
            answer
        }
    });
    let io = TokioIo::new(Watched::new(stream, Arc::clone(&place.activity)));
    let served = http1::Builder::new()
        .timer(TokioTimer::new())
        // The backstop; `stale` tells idling from a slow head.
        .header_read_timeout(options.idle_timeout.max(options.header_timeout))
        .max_header_size(options.max_header_bytes)
        .max_buf_size(READ_BUFFER.max(options.max_header_bytes))
        // A client that shut its side down still waits for the answer.
        .half_close(true)
        .serve_connection(io, service);
    let mut served = pin!(watcher.watch(served));
    tokio::select! {
        result = &mut served => {
            if let Err(error) = result {
                tracing::debug!("a connection ended: {error}");
            }
        }
        () = place.activity.stale(options.header_timeout, options.idle_timeout) => {
            tracing::debug!("a connection idled too long, or its place was needed");
        }
    }
}

fn is_about_the_client(error: &io::Error) -> bool {
    use io::ErrorKind::{ConnectionAborted, ConnectionRefused, ConnectionReset};
    matches!(error.kind(), ConnectionAborted | ConnectionRefused | ConnectionReset)
}
