//! Dying and being paused, from outside: a process that is gone does not unwind, and one that is
//! stopped does not know it.

use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, Waker};
use std::time::Duration;

use parking_lot::Mutex;
use tokio::sync::Notify;

/// How a process ends.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Death {
    /// Its connections are closed with it: the group and the log hear of it at once.
    Closed,
    /// Silence: its session and its transactions time out.
    Silent,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum State {
    Alive,
    Paused,
    Dead(Death),
}

/// One process's life.
pub struct Life {
    state: Mutex<(State, Option<Waker>)>,
    /// Something happened to it.
    changed: Notify,
    thawed: Notify,
}

/// What a keeper sees of a life that goes wrong.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Trouble {
    /// It stands still; it may go on.
    Paused,
    /// It is over.
    Dead(Death),
}

impl Life {
    /// A life that has begun.
    pub fn new() -> Arc<Self> {
        let state = Mutex::new((State::Alive, None));
        Arc::new(Self { state, changed: Notify::new(), thawed: Notify::new() })
    }

    /// Ends it here; the caller must not go on.
    pub fn die(&self, death: Death) {
        let waker = {
            let mut state = self.state.lock();
            if !matches!(state.0, State::Dead(_)) {
                state.0 = State::Dead(death);
            }
            state.1.take()
        };
        waker.into_iter().for_each(Waker::wake);
        self.changed.notify_one();
    }

    /// Stops the whole process for `pause`, in the middle of the call that is made here.
    pub async fn pause(self: &Arc<Self>, pause: Duration) {
        let mut thawed = std::pin::pin!(self.thawed.notified());
        thawed.as_mut().enable();
        {
            let mut state = self.state.lock();
            if state.0 != State::Alive {
                return;
            }
            state.0 = State::Paused;
        }
        self.changed.notify_one();
        let life = Arc::clone(self);
        tokio::spawn(async move {
            tokio::time::sleep(pause).await;
            life.thaw();
        });
        thawed.await;
    }

    /// Does not return while it stands still, and never where it is over.
    pub async fn stand(&self) {
        loop {
            let mut thawed = std::pin::pin!(self.thawed.notified());
            thawed.as_mut().enable();
            if self.is_well() {
                return;
            }
            thawed.await;
        }
    }

    fn thaw(&self) {
        let waker = {
            let mut state = self.state.lock();
            if state.0 != State::Paused {
                return;
            }
            state.0 = State::Alive;
            state.1.take()
        };
        self.thawed.notify_waiters();
        waker.into_iter().for_each(Waker::wake);
    }

    /// Waits until it is paused or dead.
    pub async fn trouble(&self) -> Trouble {
        loop {
            let changed = self.changed.notified();
            match self.state.lock().0 {
                State::Alive => {}
                State::Paused => return Trouble::Paused,
                State::Dead(death) => return Trouble::Dead(death),
            }
            changed.await;
        }
    }

    /// Whether it is neither paused nor dead.
    pub fn is_well(&self) -> bool {
        self.state.lock().0 == State::Alive
    }
}

/// A future that lives a life: not polled while it is paused, never again once it is dead.
pub struct Mortal<F: Future> {
    life: Arc<Life>,
    inner: Option<Pin<Box<F>>>,
    /// It ended in the very poll in which it was stopped; nobody hears of it before it goes on.
    unsaid: Option<F::Output>,
}

// Nothing is pinned but what is in the box.
impl<F: Future> Unpin for Mortal<F> {}

impl<F: Future> Mortal<F> {
    /// Puts `inner` at the mercy of `life`.
    pub fn new(life: Arc<Life>, inner: F) -> Self {
        Self { life, inner: Some(Box::pin(inner)), unsaid: None }
    }

    /// `Some` where the inner future must not be polled.
    fn kept(&mut self, cx: &Context<'_>) -> Option<Poll<Option<F::Output>>> {
        let mut state = self.life.state.lock();
        match state.0 {
            State::Alive => None,
            State::Paused | State::Dead(Death::Silent) => {
                state.1 = Some(cx.waker().clone());
                Some(Poll::Pending)
            }
            State::Dead(Death::Closed) => {
                drop(state);
                self.inner = None;
                Some(Poll::Ready(None))
            }
        }
    }
}

impl<F: Future> Future for Mortal<F> {
    /// `None`: it died with its connections.
    type Output = Option<F::Output>;

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        if let Some(kept) = self.kept(cx) {
            return kept;
        }
        if let Some(said) = self.unsaid.take() {
            return Poll::Ready(Some(said));
        }
        let Some(inner) = &mut self.inner else { return Poll::Ready(None) };
        if let Poll::Ready(said) = inner.as_mut().poll(cx) {
            self.inner = None;
            self.unsaid = Some(said);
        }
        // It may have been stopped or ended in the middle of this very poll.
        match (self.kept(cx), self.unsaid.take()) {
            (None, Some(said)) => Poll::Ready(Some(said)),
            (Some(kept), unsaid) => {
                self.unsaid = unsaid;
                kept
            }
            (None, None) => Poll::Pending,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::atomic::{AtomicU32, Ordering};

    #[tokio::test(start_paused = true)]
    async fn a_paused_life_goes_on_where_it_stood_and_a_dead_one_never() {
        let (life, steps) = (Life::new(), Arc::new(AtomicU32::new(0)));
        let task = tokio::spawn(Mortal::new(Arc::clone(&life), {
            let (life, steps) = (Arc::clone(&life), Arc::clone(&steps));
            async move {
                let step = || steps.fetch_add(1, Ordering::SeqCst);
                step();
                life.pause(Duration::from_secs(10)).await;
                step();
                tokio::time::sleep(Duration::from_secs(10)).await;
                step();
            }
        }));
        assert_eq!(life.trouble().await, Trouble::Paused);
        tokio::time::sleep(Duration::from_secs(9)).await;
        assert_eq!(steps.load(Ordering::SeqCst), 1);
        tokio::time::sleep(Duration::from_secs(2)).await;
        assert_eq!((steps.load(Ordering::SeqCst), life.is_well()), (2, true));
        life.die(Death::Silent);
        assert_eq!(life.trouble().await, Trouble::Dead(Death::Silent));
        tokio::time::sleep(Duration::from_secs(60)).await;
        assert_eq!(steps.load(Ordering::SeqCst), 2);
        assert!(!task.is_finished(), "silence says nothing, not even that it ended");
        task.abort();
    }

    #[tokio::test(start_paused = true)]
    async fn whoever_ends_while_it_stands_still_says_so_later() {
        let life = Life::new();
        let (paused, began) = (Arc::clone(&life), tokio::time::Instant::now());
        let ended = Mortal::new(Arc::clone(&life), async move {
            let pause = async move { paused.pause(Duration::from_secs(3)).await };
            tokio::select! { biased; () = pause => unreachable!(), () = async {} => 7 }
        });
        assert_eq!(ended.await, Some(7));
        assert_eq!(began.elapsed(), Duration::from_secs(3));
    }

    #[tokio::test(start_paused = true)]
    async fn a_closed_life_drops_what_it_had() {
        let life = Life::new();
        let ended = Mortal::new(Arc::clone(&life), async {
            life.die(Death::Closed);
            std::future::pending::<()>().await;
        });
        assert_eq!(ended.await, None);
    }
}
