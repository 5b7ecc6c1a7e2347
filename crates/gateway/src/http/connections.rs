//! Open connections: how long each of them idles, and which one has to go.

use std::collections::BTreeMap;
use std::io;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;

use parking_lot::Mutex;
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::TcpStream;
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

/// Nothing is looked at more often than this.
const SHORTEST_STEP: Duration = Duration::from_millis(1);

/// What a connection is doing.
pub struct Activity {
    state: Mutex<State>,
    closed: CancellationToken,
}

#[derive(Debug, Clone, Copy)]
struct State {
    /// Requests that handlers are working on.
    busy: usize,
    /// Since when a request's head is arriving.
    head_since: Option<Instant>,
    /// Since when no request is being worked on.
    idle_since: Instant,
}

/// A request is being worked on; ends with it.
pub struct Busy(Arc<Activity>);

impl Activity {
    fn new() -> Arc<Self> {
        let state = State { busy: 0, head_since: None, idle_since: Instant::now() };
        Arc::new(Self { state: Mutex::new(state), closed: CancellationToken::new() })
    }

    /// A request's head is complete.
    pub fn begin(self: &Arc<Self>) -> Busy {
        let mut state = self.state.lock();
        state.busy += 1;
        state.head_since = None;
        Busy(Arc::clone(self))
    }

    /// Waits until the connection is to be closed: it idles too long, a head takes too long, or its
    /// place is needed. Looks at least as often as the shorter of the two times.
    pub async fn stale(&self, header_timeout: Duration, idle_timeout: Duration) {
        let step = header_timeout.min(idle_timeout).max(SHORTEST_STEP);
        loop {
            let state = *self.state.lock();
            let deadline = match (state.busy, state.head_since) {
                (0, Some(since)) => Some(since + header_timeout),
                (0, None) => Some(state.idle_since + idle_timeout),
                _ => None,
            };
            let now = Instant::now();
            if deadline.is_some_and(|deadline| deadline <= now) {
                return;
            }
            // While this sleeps a head may begin or a request end, and then another time counts.
            let wake = deadline.unwrap_or(now + step).min(now + step);
            tokio::select! {
                () = self.closed.cancelled() => return,
                () = tokio::time::sleep_until(wake) => {}
            }
        }
    }

    fn received(&self) {
        let mut state = self.state.lock();
        if state.busy == 0 && state.head_since.is_none() {
            state.head_since = Some(Instant::now());
        }
    }
}

impl Drop for Busy {
    fn drop(&mut self) {
        let mut state = self.0.state.lock();
        state.busy = state.busy.saturating_sub(1);
        state.idle_since = Instant::now();
    }
}

/// All open connections, bounded.
pub struct Connections {
    most: usize,
    open: Mutex<Open>,
}

#[derive(Default)]
struct Open {
    next: u64,
    activities: BTreeMap<u64, Arc<Activity>>,
}

/// A connection's place; frees it when dropped.
pub struct Place {
    connections: Arc<Connections>,
    number: u64,
    pub activity: Arc<Activity>,
}

impl Connections {
    /// Room for `most` connections.
    pub fn new(most: usize) -> Arc<Self> {
        Arc::new(Self { most: most.max(1), open: Mutex::default() })
    }

    /// A place for a new connection. Where all are taken, the one that idles longest is closed for it;
    /// `None` where none idles.
    pub fn place(self: &Arc<Self>) -> Option<Place> {
        let mut open = self.open.lock();
        if open.activities.len() >= self.most {
            open.evict()?;
        }
        let number = open.next;
        open.next += 1;
        let activity = Activity::new();
        open.activities.insert(number, Arc::clone(&activity));
        Some(Place { connections: Arc::clone(self), number, activity })
    }

    /// Closes the connection that idles longest.
    pub fn evict(&self) -> Option<()> {
        self.open.lock().evict()
    }

    /// Closes all connections.
    pub fn close(&self) {
        for activity in self.open.lock().activities.values() {
            activity.closed.cancel();
        }
    }
}

impl Open {
    fn evict(&mut self) -> Option<()> {
        let idle = self.activities.iter().filter_map(|(number, activity)| {
            let state = *activity.state.lock();
            (state.busy == 0).then_some((state.idle_since, *number))
        });
        let (_, number) = idle.min()?;
        let activity = self.activities.remove(&number)?;
        activity.closed.cancel();
        Some(())
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        self.connections.open.lock().activities.remove(&self.number);
    }
}

/// A stream that tells when bytes come in.
pub struct Watched {
    stream: TcpStream,
    activity: Arc<Activity>,
}

impl Watched {
    /// Watches `stream`.
    pub fn new(stream: TcpStream, activity: Arc<Activity>) -> Self {
        Self { stream, activity }
    }
}

impl AsyncRead for Watched {
    fn poll_read(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let before = buffer.filled().len();
        let poll = Pin::new(&mut self.stream).poll_read(context, buffer);
        if buffer.filled().len() > before {
            self.activity.received();
        }
        poll
    }
}

impl AsyncWrite for Watched {
    fn poll_write(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.stream).poll_write(context, bytes)
    }

    fn poll_flush(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_flush(context)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_shutdown(context)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        slices: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.stream).poll_write_vectored(context, slices)
    }

    fn is_write_vectored(&self) -> bool {
        self.stream.is_write_vectored()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const HEADER: Duration = Duration::from_secs(10);
    const IDLE: Duration = Duration::from_secs(75);

    #[tokio::test(start_paused = true)]
    async fn how_long_a_connection_lasts() {
        let lasted = |activity: Arc<Activity>| async move {
            let start = Instant::now();
            activity.stale(HEADER, IDLE).await;
            start.elapsed()
        };
        assert_eq!(lasted(Activity::new()).await, IDLE);

        let slow_head = Activity::new();
        slow_head.received();
        assert_eq!(lasted(slow_head).await, HEADER);

        let working = Activity::new();
        let busy = working.begin();
        let waiting = tokio::spawn(lasted(Arc::clone(&working)));
        tokio::time::sleep(IDLE * 10).await;
        assert!(!waiting.is_finished(), "a handler has time-outs of its own");
        drop(busy);
        let lasted = waiting.await.expect("ends");
        assert!(lasted >= IDLE * 11 && lasted <= IDLE * 11 + HEADER, "{lasted:?}");
    }

    #[tokio::test(start_paused = true)]
    async fn the_one_that_idles_longest_goes() {
        let connections = Connections::new(2);
        let working = connections.place().expect("room");
        let busy = working.activity.begin();
        let idle = connections.place().expect("room");
        let newcomer = connections.place().expect("the idle one goes");
        idle.activity.stale(HEADER, IDLE).await;
        assert_eq!(Instant::now().elapsed(), Duration::ZERO, "at once");
        let _newer = newcomer.activity.begin();
        assert!(connections.place().is_none(), "who works is not sent away");
        drop(idle);
        assert!(connections.place().is_none(), "its place was given away already");
        drop((busy, working));
        assert!(connections.place().is_some());
    }
}
