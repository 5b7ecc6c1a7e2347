//! The Kafka door, as a process has it: one member of its group, on the topics that there are. Topics come and
//! go with vendors, so it looks from time to time, and joins anew where they changed.
//!
//! Whatever stops it is told and tried again, for the HTTP door of the same process serves everybody.

use std::sync::Arc;
use std::time::Duration;

use contract::topics;
use ports::Ports;
use runtime::{Fatal, Processor as _, Service};
use stores::quarantine::QuarantineStore;
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;

/// How long a door that stopped by itself stays shut.
const PAUSE: Duration = Duration::from_secs(15);

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
}

/// The member at work.
struct Member {
    topics: Vec<String>,
    stop: CancellationToken,
    task: JoinHandle<Result<(), Fatal>>,
}

impl Door {
    /// Runs until `stop`, and then drains.
    pub async fn run(self, stop: CancellationToken) {
        let mut member: Option<Member> = None;
        loop {
            let mut pause = self.look;
            match member.take() {
                Some(ended) if ended.task.is_finished() => {
                    // The loop has said why, with its code.
                    self.ended(ended).await;
                    pause = PAUSE;
                }
                before => member = self.renewed(before, &stop).await,
            }
            if stop.run_until_cancelled(tokio::time::sleep(pause)).await.is_none() {
                break;
            }
        }
        if let Some(member) = member {
            self.ended(member).await;
        }
    }

    /// The member for the topics that there are now.
    async fn renewed(&self, before: Option<Member>, stop: &CancellationToken) -> Option<Member> {
        let topics: Vec<String> = match self.ports.log.topics(topics::INBOUND).await {
            Ok(found) => found.into_iter().filter(|name| topics::inbound_vendor(name).is_some()).collect(),
            Err(error) => {
                tracing::warn!(stage = gateway::Inbound::NAME, %error, "which topics vendors write to cannot be asked");
                return before;
            }
        };
        match before {
            Some(member) if member.topics == topics => return Some(member),
            Some(member) => {
                member.stop.cancel();
                self.ended(member).await;
            }
            None => {}
        }
        (!topics.is_empty()).then(|| self.begin(topics, stop))
    }

    fn begin(&self, topics: Vec<String>, stop: &CancellationToken) -> Member {
        tracing::info!(stage = gateway::Inbound::NAME, ?topics, "vendors write to these topics");
        let names: Vec<&str> = topics.iter().map(String::as_str).collect();
        let service = Service::new(
            Arc::clone(&self.inbound),
            Arc::clone(&self.ports.log),
            Arc::clone(&self.quarantine) as _,
            &names,
            &self.member,
            self.options.clone(),
        );
        let stop = stop.child_token();
        let task = tokio::spawn(service.run(stop.clone()));
        Member { topics, stop, task }
    }

    async fn ended(&self, member: Member) {
        match member.task.await {
            Ok(Ok(())) => {}
            Ok(Err(fatal)) => {
                tracing::error!(
                    stage = fatal.stage,
                    code = %fatal.code,
                    "the Kafka door is shut, and opens again in {PAUSE:?}: {fatal}"
                );
            }
            Err(panic) => tracing::error!(stage = gateway::Inbound::NAME, "a defect of dvss: {panic}"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_doors_group_is_the_one_that_operators_read_of() {
        assert_eq!(gateway::Inbound::NAME, stores::topics::INBOUND_GROUP);
    }
}
