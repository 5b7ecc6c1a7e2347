//! The states of a job, and which of them follow one another. One table; nothing else decides it.

use serde::{Deserialize, Serialize};

/// Where a job stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "SCREAMING_SNAKE_CASE")]
pub enum State {
    /// The document is yet to be put, or its upload to be confirmed.
    AwaitingUpload,
    /// The document is there and pinned; it waits for a worker.
    Queued,
    /// A worker has it, until its lease ends.
    Parsing,
    /// A person is to look at it.
    Review,
    /// The plan is decided; its facts are on their way to stock, forth (apply) or back (reverse).
    Applying,
    /// Every fact of the plan is published, but for those that a person discarded in quarantine.
    Applied,
    /// It cannot be read; the reason says why.
    Failed,
    /// The document never came.
    Expired,
    /// Applied once and taken back; every fact of the opposite plan is published.
    Reversed,
}

impl State {
    /// Every state, in the order of a job's life.
    pub const ALL: [Self; 9] = [
        Self::AwaitingUpload,
        Self::Queued,
        Self::Parsing,
        Self::Review,
        Self::Applying,
        Self::Applied,
        Self::Failed,
        Self::Expired,
        Self::Reversed,
    ];

    /// The states that may follow this one. A state may follow itself where what is known of the job changes.
    pub fn followers(self) -> &'static [Self] {
        match self {
            Self::AwaitingUpload => &[Self::Queued, Self::Expired],
            Self::Queued => &[Self::Queued, Self::Parsing],
            // Taken over; given back for another try; read; given up.
            Self::Parsing => &[Self::Parsing, Self::Queued, Self::Review, Self::Failed],
            // An edit; an apply.
            Self::Review => &[Self::Review, Self::Applying],
            // What holds it up became known; all of it is out.
            Self::Applying => &[Self::Applying, Self::Applied, Self::Reversed],
            // A reversal is on its way.
            Self::Applied => &[Self::Applying],
            // Applied again, as it was or after an edit.
            Self::Reversed => &[Self::Applying, Self::Review],
            Self::Failed | Self::Expired => &[],
        }
    }

    /// As it is written.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::AwaitingUpload => "AWAITING_UPLOAD",
            Self::Queued => "QUEUED",
            Self::Parsing => "PARSING",
            Self::Review => "REVIEW",
            Self::Applying => "APPLYING",
            Self::Applied => "APPLIED",
            Self::Failed => "FAILED",
            Self::Expired => "EXPIRED",
            Self::Reversed => "REVERSED",
        }
    }

    /// Reads [`State::as_str`].
    pub fn parse(text: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|state| state.as_str() == text)
    }

    /// Whether dvss itself moves a job on from here, so that the sweep looks after it.
    pub fn is_in_motion(self) -> bool {
        matches!(self, Self::AwaitingUpload | Self::Queued | Self::Parsing | Self::Applying)
    }
}

impl std::fmt::Display for State {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter.write_str(self.as_str())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_state_is_reached_and_written_in_one_way() {
        for state in State::ALL {
            assert_eq!(State::parse(state.as_str()), Some(state));
            assert_eq!(serde_json::to_string(&state).expect("a text"), format!("\"{state}\""));
            let reached =
                State::ALL.into_iter().any(|other| other != state && other.followers().contains(&state));
            assert_eq!(reached, state != State::AwaitingUpload, "{state}");
        }
    }

    #[test]
    fn what_is_over_stays_over() {
        for state in [State::Failed, State::Expired] {
            assert!(state.followers().is_empty() && !state.is_in_motion());
        }
        assert!(!State::Applied.followers().contains(&State::Review), "what is booked is not edited");
    }
}
