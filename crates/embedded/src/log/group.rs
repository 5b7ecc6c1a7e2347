//! A consumer group: who is in it, and who owns what; pure, time is handed in.
//!
//! A change of the membership begins a *round*: every member must poll again, and what it held is
//! given up by that. When the last one has polled (or was dropped for its silence), the generation
//! grows and the partitions are shared out anew. Until then the old owners may still commit.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use ports::log::Partition;
use tokio::time::Instant;

use super::decide::assign;

/// One group. It stays when its members have left, so that generations never repeat.
#[derive(Debug, Default)]
pub struct Group {
    generation: u64,
    members: BTreeMap<String, Member>,
    in_round: bool,
}

#[derive(Debug)]
struct Member {
    instance: u64,
    topics: Vec<Arc<str>>,
    polled: Instant,
    /// Has polled in this round.
    joined: bool,
    assigned: Vec<Partition>,
}

/// A consumer, as the group knows it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Identity {
    /// The static member's name.
    pub name: String,
    /// Unique among all consumers of the process.
    pub instance: u64,
}

/// What a poll finds out about its member.
#[derive(Debug, PartialEq, Eq)]
pub enum Seat {
    /// The round is not over.
    Waiting,
    /// It owns these under this generation.
    Assigned(u64, Vec<Partition>),
    /// Another consumer has its name.
    Replaced,
}

impl Group {
    /// Takes a consumer in; it replaces one of the same name.
    pub fn join(&mut self, who: &Identity, topics: &[Arc<str>], now: Instant) {
        let member = Member {
            instance: who.instance,
            topics: topics.to_vec(),
            polled: now,
            joined: false,
            assigned: Vec::new(),
        };
        self.members.insert(who.name.clone(), member);
        self.begin_round();
    }

    /// Lets a consumer go, unless another one has its name. Returns whether anything changed.
    pub fn leave(&mut self, who: &Identity) -> bool {
        let here = self.members.get(&who.name).is_some_and(|member| member.instance == who.instance);
        if here {
            self.members.remove(&who.name);
            self.begin_round();
        }
        here
    }

    /// Drops members that have not polled for `session`. Returns whether there were any.
    pub fn expire(&mut self, now: Instant, session: Duration) -> bool {
        let before = self.members.len();
        self.members.retain(|_, member| now < member.polled + session);
        let dropped = self.members.len() < before;
        if dropped {
            self.begin_round();
        }
        dropped
    }

    /// Notes that a member polls, takes it in again where it was dropped, and ends the round where it
    /// was the last one missing. The flag says whether others have something to learn.
    pub fn poll(
        &mut self,
        who: &Identity,
        topics: &[Arc<str>],
        now: Instant,
        partitions: impl Fn(&str) -> u32,
    ) -> (Seat, bool) {
        let mut news = false;
        match self.members.get_mut(&who.name) {
            Some(member) if member.instance != who.instance => return (Seat::Replaced, false),
            Some(member) => member.polled = now,
            None => {
                self.join(who, topics, now);
                news = true;
            }
        }
        if self.in_round {
            if let Some(member) = self.members.get_mut(&who.name) {
                member.joined = true;
            }
            if self.members.values().all(|member| member.joined) {
                self.end_round(partitions);
                news = true;
            }
        }
        match self.members.get(&who.name) {
            Some(member) if !self.in_round => {
                (Seat::Assigned(self.generation, member.assigned.clone()), news)
            }
            _ => (Seat::Waiting, news),
        }
    }

    /// Whether a consumer still owns what it was assigned under a generation.
    pub fn owns(&self, who: &Identity, generation: u64) -> bool {
        let here = self.members.get(&who.name).is_some_and(|member| member.instance == who.instance);
        here && generation == self.generation
    }

    /// Whether nobody is in it.
    pub fn is_empty(&self) -> bool {
        self.members.is_empty()
    }

    /// When the next member is dropped unless it polls.
    pub fn next_expiry(&self, session: Duration) -> Option<Instant> {
        self.members.values().map(|member| member.polled + session).min()
    }

    fn begin_round(&mut self) {
        self.in_round = true;
        for member in self.members.values_mut() {
            member.joined = false;
        }
    }

    fn end_round(&mut self, partitions: impl Fn(&str) -> u32) {
        let members =
            self.members.iter().map(|(name, member)| (name.as_str(), member.topics.as_slice())).collect();
        let mut assigned: BTreeMap<String, Vec<Partition>> = assign(&members, partitions)
            .into_iter()
            .map(|(name, partitions)| (name.to_owned(), partitions))
            .collect();
        for (name, member) in &mut self.members {
            member.assigned = assigned.remove(name).unwrap_or_default();
        }
        self.generation += 1;
        self.in_round = false;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SESSION: Duration = Duration::from_secs(10);

    fn who(name: &str, instance: u64) -> Identity {
        Identity { name: name.to_owned(), instance }
    }

    fn join(group: &mut Group, who: &Identity, now: Instant) {
        group.join(who, &["t".into()], now);
    }

    /// Polls, and tells what the member holds: `None` while it waits.
    fn poll(group: &mut Group, who: &Identity, now: Instant) -> Option<(u64, Vec<u32>)> {
        match group.poll(who, &["t".into()], now, |_| 2).0 {
            Seat::Assigned(generation, partitions) => {
                Some((generation, partitions.iter().map(|partition| partition.index).collect()))
            }
            Seat::Waiting => None,
            Seat::Replaced => panic!("{} was replaced", who.name),
        }
    }

    #[test]
    fn a_newcomer_waits_until_the_old_owner_has_polled() {
        let (mut group, now) = (Group::default(), Instant::now());
        let (a, b) = (who("a", 1), who("b", 2));
        join(&mut group, &a, now);
        assert_eq!(poll(&mut group, &a, now), Some((1, vec![0, 1])));
        join(&mut group, &b, now);
        assert_eq!(poll(&mut group, &b, now), None);
        assert!(group.owns(&a, 1), "the old owner may finish its batch");
        assert_eq!(poll(&mut group, &a, now), Some((2, vec![0])));
        assert!(!group.owns(&a, 1));
        assert_eq!(poll(&mut group, &b, now), Some((2, vec![1])));
        assert!(group.leave(&a));
        assert_eq!(poll(&mut group, &b, now), Some((3, vec![0, 1])));
    }

    #[test]
    fn silence_costs_the_seat_and_a_poll_takes_it_again() {
        let (mut group, now) = (Group::default(), Instant::now());
        let (a, b) = (who("a", 1), who("b", 2));
        join(&mut group, &a, now);
        join(&mut group, &b, now);
        assert_eq!(poll(&mut group, &a, now), None);
        assert_eq!(poll(&mut group, &b, now), Some((1, vec![1])));
        let later = now + SESSION;
        assert_eq!(group.next_expiry(SESSION), Some(later));
        assert_eq!(poll(&mut group, &b, later), Some((1, vec![1])));
        assert!(group.expire(later, SESSION), "a has been silent");
        assert!(!group.owns(&a, 1));
        assert_eq!(poll(&mut group, &b, later), Some((2, vec![0, 1])));
        assert_eq!(poll(&mut group, &a, later), None);
        assert_eq!(poll(&mut group, &b, later), Some((3, vec![1])));
        assert_eq!(poll(&mut group, &a, later), Some((3, vec![0])));
    }

    #[test]
    fn a_name_belongs_to_the_last_one_who_took_it() {
        let (mut group, now) = (Group::default(), Instant::now());
        let (old, new) = (who("a", 1), who("a", 2));
        join(&mut group, &old, now);
        assert_eq!(poll(&mut group, &old, now), Some((1, vec![0, 1])));
        join(&mut group, &new, now);
        assert!(!group.owns(&old, 1));
        assert_eq!(group.poll(&old, &["t".into()], now, |_| 2).0, Seat::Replaced);
        assert!(!group.leave(&old), "it has nothing to leave");
        assert_eq!(poll(&mut group, &new, now), Some((2, vec![0, 1])));
    }
}
