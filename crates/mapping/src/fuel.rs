//! What a filter may spend. jaq has no bound of its own, so every term it evaluates and every
//! value it makes is charged here, and an exhausted budget unwinds out of the interpreter.
//!
//! The budget is a number of steps, not a time: the same payload has the same outcome everywhere.

use std::cell::Cell;
use std::panic::{AssertUnwindSafe, catch_unwind, resume_unwind};

/// Steps that all filters of a mapping may take together on one event.
pub const STEPS_PER_EVENT: u64 = 5_000_000;
/// Deepest value that a filter may build (a payload has at most 64 levels).
pub const MAX_DEPTH: u16 = 128;

/// Most stack that a filter may take, in bytes; threads of the runtime have 2 MiB.
const MAX_STACK: usize = 1024 * 1024;

// Stopping a filter needs unwinding.
const _: () =
    assert!(cfg!(panic = "unwind"), "filters are stopped by unwinding; panic=abort would end the process");

thread_local! {
    /// Steps left; `None` outside of [`metered`].
    static LEFT: Cell<Option<u64>> = const { Cell::new(None) };
    /// Where on the stack [`metered`] was called.
    static BOTTOM: Cell<usize> = const { Cell::new(0) };
}

/// Why a filter was stopped.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Stopped {
    /// It took too many steps.
    Steps,
    /// It built a value that is nested too deep, or called too deep.
    Depth,
}

/// Runs `work` on the budget `left`, and takes from it what the work spent.
///
/// An exhausted budget cannot be caught by the filter's own `try`.
pub fn metered<T>(left: &mut u64, work: impl FnOnce() -> T) -> Result<T, Stopped> {
    LEFT.set(Some(*left));
    BOTTOM.set(stack_address());
    // Values are immutable and shared by count, so nothing is seen half-made after an unwind.
    let result = catch_unwind(AssertUnwindSafe(work));
    *left = LEFT.take().unwrap_or(0);
    result.or_else(|payload| match payload.downcast::<Stopped>() {
        Ok(stopped) => Err(*stopped),
        Err(panic) => resume_unwind(panic),
    })
}

/// Takes `steps` from the budget of this thread's filter; unwinds to [`metered`] when it is spent.
pub fn charge(steps: u64) {
    let Some(left) = LEFT.get() else { return };
    match left.checked_sub(steps) {
        Some(left) => LEFT.set(Some(left)),
        None => stop(Stopped::Steps),
    }
    if stack_address().abs_diff(BOTTOM.get()) > MAX_STACK {
        stop(Stopped::Depth);
    }
}

/// About where the stack ends now.
fn stack_address() -> usize {
    let here = 0_u8;
    std::ptr::from_ref(&here).addr()
}

/// Refuses values that are nested so deep that walking them could overflow the stack.
pub fn check_depth(depth: u16) {
    if depth > MAX_DEPTH && LEFT.get().is_some() {
        stop(Stopped::Depth);
    }
}

fn stop(reason: Stopped) -> ! {
    LEFT.set(Some(0));
    // Unlike panic!, this does not call the panic hook: it is control flow, and not a defect.
    resume_unwind(Box::new(reason))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_budget_is_spent_once() {
        let mut left = 10;
        assert_eq!(metered(&mut left, || charge(4)), Ok(()));
        assert_eq!(left, 6);
        assert_eq!(metered(&mut left, || charge(7)), Err(Stopped::Steps));
        assert_eq!(left, 0);
        charge(u64::MAX); // Outside, nothing is charged.
    }
}
