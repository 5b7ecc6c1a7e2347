//! What the client's errors mean to the port.

use ports::log::Error;
use rdkafka::error::{KafkaError, RDKafkaError, RDKafkaErrorCode as Code};

/// What an error means where nothing is produced in a transaction.
pub fn plain(error: &KafkaError, what: &str) -> Error {
    match error.rdkafka_error_code() {
        Some(code) => of_code(code, what),
        None => Error::Unavailable(format!("{what}: {error}")),
    }
}

/// The same, of a code.
pub fn of_code(code: Code, what: &str) -> Error {
    match code {
        // No topic has a name that the broker does not take.
        Code::UnknownTopicOrPartition | Code::UnknownTopic | Code::UnknownPartition | Code::InvalidTopic => {
            Error::Missing(what.to_owned())
        }
        Code::FencedInstanceId => Error::Fenced(format!("{what}: {code}")),
        _ => Error::Unavailable(format!("{what}: {code}")),
    }
}

/// What setting offsets from outside came to.
pub fn of_set_committed(error: &KafkaError, group: &str) -> Error {
    match error.rdkafka_error_code() {
        Some(
            Code::UnknownMemberId
            | Code::IllegalGeneration
            | Code::RebalanceInProgress
            | Code::FencedInstanceId
            | Code::NonEmptyGroup,
        ) => Error::GroupNotEmpty(group.to_owned()),
        _ => plain(error, &format!("setting offsets of {group}")),
    }
}

/// What an event of a member's client asks for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Event {
    /// Nothing: the client gets over it, or a rebalance follows.
    Pass,
    /// The poll fails, and the next one goes on.
    Report(Error),
    /// This and every further poll fails.
    Die(Error),
    /// Some partition lost its place; the event does not say which.
    LostPlace,
}

/// What an error that a member's client raised asks for.
pub fn of_event(error: &KafkaError, group: &str) -> Event {
    if let KafkaError::MessageConsumptionFatal(code) = error {
        let message = format!("{group}: {code}");
        return match code {
            Code::FencedInstanceId => Event::Die(Error::Fenced(message)),
            _ => Event::Die(Error::Unknown(message)),
        };
    }
    let Some(code) = error.rdkafka_error_code() else { return Event::Pass };
    match code {
        Code::AutoOffsetReset | Code::OffsetOutOfRange | Code::NoOffset => Event::LostPlace,
        Code::AllBrokersDown
        | Code::Authentication
        | Code::SaslAuthenticationFailed
        | Code::GroupAuthorizationFailed
        | Code::TopicAuthorizationFailed
        | Code::ClusterAuthorizationFailed
        | Code::UnknownTopicOrPartition
        | Code::UnknownTopic
        | Code::UnknownPartition => Event::Report(of_code(code, group)),
        // A broker that is away while others are there, a poll that came late: these heal by
        // themselves, the latter by a rebalance that takes the partitions away.
        _ => Event::Pass,
    }
}

/// What to do about a failed call of a transaction.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Call {
    /// Make it again, while there is time.
    Again,
    /// It failed for good.
    Failed(Error),
}

/// The properties of an error of a transactional call.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Traits {
    /// The error's code.
    pub code: Code,
    /// The producer is of no more use.
    pub fatal: bool,
    /// The transaction can only be aborted.
    pub abort: bool,
    /// The same call may succeed.
    pub retriable: bool,
}

impl Traits {
    fn of(error: &RDKafkaError) -> Self {
        Self {
            code: error.code(),
            fatal: error.is_fatal(),
            abort: error.txn_requires_abort(),
            retriable: error.is_retriable(),
        }
    }
}

/// What a failed call of a transaction means.
pub fn of_transaction(error: &KafkaError, what: &str) -> Call {
    match error {
        KafkaError::Transaction(error) => decide(Traits::of(error), &format!("{what}: {error}")),
        other => Call::Failed(Error::Unknown(format!("{what}: {other}"))),
    }
}

/// The same, of the error's properties.
pub fn decide(traits: Traits, message: &str) -> Call {
    let message = message.to_owned();
    if is_fenced(traits.code) {
        return Call::Failed(Error::Fenced(message));
    }
    match traits {
        Traits { fatal: true, .. } => Call::Failed(Error::Unknown(message)),
        Traits { abort: true, .. } => Call::Failed(Error::Abort(message)),
        Traits { retriable: true, .. } => Call::Again,
        _ => Call::Failed(Error::Unknown(message)),
    }
}

/// Whether another producer has the transactional id, or the coordinator took the transaction away.
pub fn is_fenced(code: Code) -> bool {
    matches!(
        code,
        Code::Fenced | Code::ProducerFenced | Code::InvalidProducerEpoch | Code::TransactionCoordinatorFenced
    )
}

/// What the report says of a record that was not delivered; `size` are its bytes.
pub fn of_report(code: Code, size: usize, what: &str) -> Error {
    match code {
        // The broker does not say what it takes; less than this.
        Code::MessageSizeTooLarge => Error::TooLarge { size, most: size.saturating_sub(1) },
        code if is_fenced(code) => Error::Fenced(format!("{what}: {code}")),
        code => of_code(code, what),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn calls_of_a_transaction() {
        let calm = Traits { code: Code::Unknown, fatal: false, abort: false, retriable: false };
        let message = || "m".to_owned();
        for (traits, expected) in [
            (Traits { code: Code::Fenced, fatal: true, ..calm }, Call::Failed(Error::Fenced(message()))),
            (
                Traits { code: Code::ProducerFenced, abort: true, ..calm },
                Call::Failed(Error::Fenced(message())),
            ),
            (
                Traits { code: Code::InvalidProducerEpoch, abort: true, ..calm },
                Call::Failed(Error::Fenced(message())),
            ),
            (Traits { fatal: true, abort: true, ..calm }, Call::Failed(Error::Unknown(message()))),
            (
                Traits { code: Code::UnknownMemberId, abort: true, retriable: true, ..calm },
                Call::Failed(Error::Abort(message())),
            ),
            (Traits { code: Code::OperationTimedOut, retriable: true, ..calm }, Call::Again),
            (calm, Call::Failed(Error::Unknown(message()))),
        ] {
            assert_eq!(decide(traits, "m"), expected, "{traits:?}");
        }
    }

    #[test]
    fn events_of_a_member() {
        let event = |code| of_event(&KafkaError::MessageConsumption(code), "g");
        assert_eq!(event(Code::AutoOffsetReset), Event::LostPlace);
        assert!(matches!(event(Code::AllBrokersDown), Event::Report(Error::Unavailable(_))));
        assert!(matches!(event(Code::UnknownTopicOrPartition), Event::Report(Error::Missing(_))));
        for healing in [Code::BrokerTransportFailure, Code::PollExceeded, Code::Resolve] {
            assert_eq!(event(healing), Event::Pass);
        }
        let fatal = |code| of_event(&KafkaError::MessageConsumptionFatal(code), "g");
        assert!(matches!(fatal(Code::FencedInstanceId), Event::Die(Error::Fenced(_))));
        assert!(matches!(fatal(Code::Unknown), Event::Die(Error::Unknown(_))));
    }

    #[test]
    fn offsets_are_refused_while_there_are_members() {
        let of = |code| of_set_committed(&KafkaError::ConsumerCommit(code), "g");
        for code in [Code::UnknownMemberId, Code::IllegalGeneration, Code::RebalanceInProgress] {
            assert_eq!(of(code), Error::GroupNotEmpty("g".to_owned()));
        }
        assert!(matches!(of(Code::NotCoordinator), Error::Unavailable(_)));
        assert!(matches!(of(Code::UnknownTopicOrPartition), Error::Missing(_)));
    }
}
