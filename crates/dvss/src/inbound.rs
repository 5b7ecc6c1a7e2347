//! The Kafka door, as a process has it: one member of its group, on the topics that there are. Topics come and
//! go with vendors, so it looks from time to time, and joins anew where they changed.
//!
//! Whatever stops it is told and tried again, for the HTTP door of the same process serves everybody.

use std::sync::Arc;
use std::time::Duration;

use contract::{Code, Fingerprint};
use futures::{StreamExt as _, TryStreamExt as _, stream};
use gateway::Inbound;
use parking_lot::Mutex;
use ports::{Log, Ports, log};
use runtime::{Fatal, Handle, Processor as _, Service};
use stores::quarantine::QuarantineStore;
use stores::topics::inbound_topics;
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;

/// How long a door that stopped by itself stays shut.
const PAUSE: Duration = Duration::from_secs(15);
/// Topics that are asked about at the same time.
const AT_ONCE: usize = 8;

/// What the door needs.
pub struct Door {
    /// What it does.
    pub inbound: Arc<gateway::Inbound>,
    /// What it works on.
    pub ports: Ports,
    /// Where refusals go.
    pub quarantine: Arc<QuarantineStore>,
    /// The name of this process in the group.
    pub member: String,
    /// How the loop works.
    pub options: runtime::Options,
    /// How often it looks which topics there are.
    pub look: Duration,
    /// Where others see how it is.
    pub view: View,
}

/// How the door is, for others; nothing while no vendor writes to Kafka.
#[derive(Clone, Default)]
pub struct View(Arc<Mutex<Option<Handle>>>);

impl View {
    /// Whether its loop turns, and whether it is assigned.
    pub fn health(&self) -> Option<(bool, bool)> {
        self.0.lock().as_ref().map(|handle| (handle.is_live(), handle.is_ready()))
    }
}

/// The member at work.
struct Member {
    /// The topics that there were.
    found: Vec<String>,
    /// Those that are left out, since the group's offset lies outside of them.
    lost: Vec<String>,
    stop: CancellationToken,
    task: JoinHandle<Result<(), Fatal>>,
}

impl Door {
    /// Runs until `stop`, and then drains.
    pub async fn run(self, stop: CancellationToken) {
        let mut member: Option<Member> = None;
        let mut told = Vec::new();
        loop {
            let mut pause = self.look;
            match member.take() {
                Some(ended) if ended.task.is_finished() => {
                    self.ended(ended).await;
                    pause = PAUSE;
                }
                before => match self.renewed(before, &mut told, &stop).await {
                    Ok(renewed) => member = renewed,
                    Err((before, error)) => {
                        tracing::warn!(stage = Inbound::NAME, %error, "which topics vendors write to cannot be asked");
                        member = before;
                    }
                },
            }
            if stop.run_until_cancelled(tokio::time::sleep(pause)).await.is_none() {
                break;
            }
        }
        if let Some(member) = member {
            self.ended(member).await;
        }
    }

    /// The member for the topics that there are now; the one before where that cannot be found out. `told` are the
    /// topics of which was said that they are not read.
    async fn renewed(
        &self,
        before: Option<Member>,
        told: &mut Vec<String>,
        stop: &CancellationToken,
    ) -> Result<Option<Member>, (Option<Member>, log::Error)> {
        let (found, lost) = match self.topics(before.as_ref()).await {
            Ok(topics) => topics,
            Err(error) => return Err((before, error)),
        };
        match before {
            Some(member) if member.found == found && member.lost == lost => return Ok(Some(member)),
            Some(member) => {
                member.stop.cancel();
                self.ended(member).await;
            }
            None => {}
        }
        for topic in lost.iter().filter(|topic| !told.contains(topic)) {
            tracing::error!(
                stage = Inbound::NAME,
                code = %Code::OffsetOutOfRange,
                topic,
                "not read: the group's offset lies outside of the topic; set it with kafka-consumer-groups"
            );
        }
        told.clone_from(&lost);
        let read: Vec<&str> = found.iter().filter(|name| !lost.contains(name)).map(String::as_str).collect();
        if read.is_empty() {
            *self.view.0.lock() = None;
            return Ok(None);
        }
        let (task, stop) = self.begin(&read, stop);
        Ok(Some(Member { found, lost, stop, task }))
    }

    /// The topics that there are, and those of them that cannot be read on: one vendor's must not keep the others'
    /// from being read. Asks where something may have changed.
    async fn topics(&self, before: Option<&Member>) -> Result<(Vec<String>, Vec<String>), log::Error> {
        let log = &*self.ports.log;
        let found: Vec<String> = inbound_topics(log).await?.into_iter().map(|(topic, _)| topic).collect();
        let known = before.filter(|member| member.found == found);
        let suspects = known.map_or(&found, |member| &member.lost);
        let looks: Vec<_> = suspects.iter().map(|topic| is_lost(log, topic)).collect();
        let looks: Vec<bool> = stream::iter(looks).buffered(AT_ONCE).try_collect().await?;
        let lost = suspects.iter().zip(looks).filter(|(_, lost)| *lost).map(|(topic, _)| topic.clone());
        let lost = lost.collect();
        Ok((found, lost))
    }

    fn begin(
        &self,
        topics: &[&str],
        stop: &CancellationToken,
    ) -> (JoinHandle<Result<(), Fatal>>, CancellationToken) {
        tracing::info!(stage = Inbound::NAME, ?topics, "vendors write to these topics");
        let service = Service::new(
            Arc::clone(&self.inbound),
            Arc::clone(&self.ports.log),
            Arc::clone(&self.quarantine) as _,
            topics,
            &member(&self.member, topics),
            self.options.clone(),
        );
        *self.view.0.lock() = Some(service.handle());
        let stop = stop.child_token();
        (tokio::spawn(service.run(stop.clone())), stop)
    }

    /// The loop has said why it ended.
    async fn ended(&self, member: Member) {
        match member.task.await {
            Ok(Ok(())) => {}
            Ok(Err(_)) => tracing::info!(stage = Inbound::NAME, "the Kafka door opens again in {PAUSE:?}"),
            Err(panic) => tracing::error!(stage = Inbound::NAME, "a defect of dvss: {panic}"),
        }
    }
}

/// Whether the group's offset lies outside of a topic.
async fn is_lost(log: &dyn Log, topic: &str) -> Result<bool, log::Error> {
    let committed = log.committed(Inbound::NAME, topic).await?;
    let within = |(at, ends): (Option<log::Offset>, log::Ends)| {
        (ends.start..=ends.uncommitted).contains(&Inbound::FIRST.of(at))
    };
    Ok(!committed.into_iter().zip(log.ends(topic).await?).all(within))
}

/// The name in the group. A static member that comes back within its session is given what it had, without a
/// look at the topics that it asks for now: so other topics make it another member.
fn member(process: &str, topics: &[&str]) -> String {
    let print = Fingerprint::of_bytes(topics.join("\n").as_bytes()).to_string();
    format!("{process}-{}", &print[..8])
}

#[cfg(test)]
mod tests;
