//! What holds a child: what it says about itself, and what it was denied when it tried.

use std::fmt;

use serde::{Deserialize, Serialize};

/// The first ABI of Landlock that can deny UDP beside TCP.
const LANDLOCK_UDP: u8 = 10;

/// What a process has put itself under.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Confinement {
    /// Memory, processor time, files, processes and core dumps are limited.
    pub rlimits: bool,
    /// No program that it could start would have more rights.
    pub no_new_privs: bool,
    /// It has no capabilities, so that limits hold for root, too.
    pub no_capabilities: bool,
    /// Landlock's ABI; 0 where Landlock is not active.
    pub landlock: u8,
    /// System calls are filtered.
    pub seccomp: bool,
    /// What is not active, and why.
    pub missing: Vec<String>,
}

impl Confinement {
    /// Without this no document is read: limits; seccomp or Landlock; and no network. That is denied by seccomp,
    /// by Landlock from ABI 10 on (before, it knows no UDP), or by the limit of descriptors, none, which a
    /// process without capabilities cannot raise.
    pub fn meets_minimum(&self) -> bool {
        let filtered = self.seccomp || self.landlock > 0;
        let no_network = self.seccomp || self.landlock >= LANDLOCK_UDP || self.no_capabilities;
        self.rlimits && self.no_new_privs && filtered && no_network
    }
}

impl fmt::Display for Confinement {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let landlock = format!("landlock (ABI {})", self.landlock);
        let active: Vec<_> = [
            (self.rlimits, "rlimits"),
            (self.no_new_privs, "no new privileges"),
            (self.no_capabilities, "no capabilities"),
            (self.landlock > 0, landlock.as_str()),
            (self.seccomp, "seccomp"),
        ]
        .into_iter()
        .filter_map(|(active, name)| active.then_some(name))
        .collect();
        write!(formatter, "active: {}", active.join(", "))?;
        if !self.missing.is_empty() {
            write!(formatter, "; missing: {}", self.missing.join(", "))?;
        }
        Ok(())
    }
}

/// One thing that is forbidden, and what came of trying it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Trial {
    /// What was tried.
    pub what: String,
    /// Whether it was denied, as opposed to done, or failed for another reason.
    pub denied: bool,
    /// Whether the minimum asks for it.
    pub required: bool,
    /// The system's answer.
    pub answer: String,
}

/// What a child is held by: its word, and the proof.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Report {
    /// What it has put itself under.
    pub confinement: Confinement,
    /// What it tried then.
    pub trials: Vec<Trial>,
}

impl Report {
    /// [`Confinement::meets_minimum`], and all that the minimum asks for was tried and denied.
    pub fn meets_minimum(&self) -> bool {
        let tried = self.trials.iter().any(|trial| trial.required);
        let denied = self.trials.iter().all(|trial| trial.denied || !trial.required);
        self.confinement.meets_minimum() && tried && denied
    }
}

impl fmt::Display for Report {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let denied: Vec<_> =
            self.trials.iter().filter(|trial| trial.denied).map(|trial| &*trial.what).collect();
        write!(formatter, "{}; denied: {}", self.confinement, denied.join(", "))?;
        for trial in self.trials.iter().filter(|trial| !trial.denied) {
            write!(formatter, "; NOT denied: {} ({})", trial.what, trial.answer)?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn whole() -> Confinement {
        Confinement {
            rlimits: true,
            no_new_privs: true,
            no_capabilities: true,
            landlock: 7,
            seccomp: true,
            missing: Vec::new(),
        }
    }

    #[test]
    fn the_minimum_is_limits_a_filter_and_no_network() {
        let bare = Confinement { landlock: 0, seccomp: false, ..whole() };
        let holding = Confinement { no_capabilities: false, ..whole() };
        for (confinement, meets) in [
            (whole(), true),
            (Confinement { landlock: 0, ..holding.clone() }, true),
            (Confinement { seccomp: false, ..whole() }, true),
            (Confinement { seccomp: false, ..holding.clone() }, false),
            (Confinement { seccomp: false, landlock: 10, ..holding }, true),
            (bare, false),
            (Confinement { rlimits: false, ..whole() }, false),
            (Confinement { no_new_privs: false, ..whole() }, false),
            (Confinement::default(), false),
        ] {
            assert_eq!(confinement.meets_minimum(), meets, "{confinement:?}");
        }
    }

    #[test]
    fn a_report_needs_proof() {
        let trial = |denied, required| Trial { what: "x".into(), denied, required, answer: "EPERM".into() };
        let report = |trials| Report { confinement: whole(), trials };
        assert!(report(vec![trial(true, true), trial(false, false)]).meets_minimum());
        assert!(!report(vec![trial(true, true), trial(false, true)]).meets_minimum());
        assert!(!report(vec![trial(true, false)]).meets_minimum(), "nothing that matters was tried");
        assert!(!report(vec![]).meets_minimum());
        assert!(report(vec![trial(false, true)]).to_string().contains("NOT denied: x (EPERM)"));
    }
}
