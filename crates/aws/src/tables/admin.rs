//! Tables: planned, made, never deleted.

use std::time::Duration;

use aws_sdk_dynamodb::Client;
use aws_sdk_dynamodb::types::{
    AttributeDefinition, BillingMode, CreateGlobalSecondaryIndexAction, GlobalSecondaryIndex,
    GlobalSecondaryIndexUpdate, IndexStatus, KeySchemaElement, KeyType, PointInTimeRecoverySpecification,
    PointInTimeRecoveryStatus, Projection, ProjectionType, ScalarAttributeType, TableDescription,
    TableStatus,
};
use aws_smithy_types::error::metadata::ProvideErrorMetadata;
use aws_smithy_types::error::operation::BuildError;
use ports::tables::{Error, Index, Table};
use tokio::time::{Instant, sleep};

use super::item::{PK, SK};
use crate::DynamoOptions;
use crate::fault::{self, Fault};
use crate::retry::{Timing, Twice};

/// How often a table that is being made is looked at.
const LOOK: Duration = Duration::from_millis(250);
/// Longest time until a table or an index that was asked for is there. An index of a large table is filled
/// first.
const MOST_WAIT: Duration = Duration::from_mins(15);

/// Plans and makes tables. What differs from the definition and could only be put right by deleting something
/// is told and left alone.
pub struct TableAdmin {
    client: Client,
    prefix: String,
    recovery: bool,
    timing: Timing,
    tables: Vec<&'static Table>,
}

/// How one table differs from its definition.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TablePlan {
    /// The table's name, with the installation's prefix.
    pub table: String,
    /// What `apply` would do, in this order.
    pub steps: Vec<TableStep>,
    /// What differs and stays so, one sentence each.
    pub drift: Vec<String>,
}

/// One thing to do.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum TableStep {
    /// The table is not there.
    Create,
    /// An index is not there.
    CreateIndex(&'static str),
    /// The table cannot be brought back to an earlier time.
    EnableRecovery,
}

impl TablePlan {
    /// Whether the table is as it is defined.
    pub fn is_settled(&self) -> bool {
        self.steps.is_empty() && self.drift.is_empty()
    }
}

impl TableAdmin {
    pub(crate) fn new(
        client: Client,
        options: &DynamoOptions,
        timing: Timing,
        tables: &[&'static Table],
    ) -> Self {
        let recovery = options.point_in_time_recovery;
        Self { client, prefix: options.table_prefix.clone(), recovery, timing, tables: tables.to_vec() }
    }

    /// How the tables differ from their definitions.
    pub async fn plan(&self) -> Result<Vec<TablePlan>, Error> {
        let mut plans = Vec::with_capacity(self.tables.len());
        for table in &self.tables {
            plans.push(self.plan_of(table).await?);
        }
        Ok(plans)
    }

    /// Makes what is missing, waits until it is there, and returns how the tables then still differ.
    pub async fn apply(&self) -> Result<Vec<TablePlan>, Error> {
        let mut left = Vec::with_capacity(self.tables.len());
        for table in &self.tables {
            let plan = self.plan_of(table).await?;
            for step in plan.steps {
                tracing::info!(table = plan.table, ?step, "table");
                match step {
                    TableStep::Create => self.create(table).await?,
                    TableStep::CreateIndex(index) => self.create_index(table, index).await?,
                    TableStep::EnableRecovery => self.enable_recovery(&plan.table).await?,
                }
            }
            left.push(self.plan_of(table).await?);
        }
        Ok(left)
    }

    async fn plan_of(&self, table: &'static Table) -> Result<TablePlan, Error> {
        let name = self.name(table);
        let there = self.describe(&name).await?;
        let (mut steps, drift) = match &there {
            None => (vec![TableStep::Create], vec![]),
            Some(there) => differences(table, there),
        };
        // A table that is not there yet is made with an index; whether it can be recovered shows later.
        let recoverable = match &there {
            _ if !self.recovery => Some(true),
            None => Some(false),
            Some(_) => self.recoverable(&name).await?,
        };
        if recoverable == Some(false) {
            steps.push(TableStep::EnableRecovery);
        }
        Ok(TablePlan { table: name, steps, drift })
    }

    fn name(&self, table: &Table) -> String {
        format!("{}{}", self.prefix, table.name)
    }

    async fn describe(&self, name: &str) -> Result<Option<TableDescription>, Error> {
        let ask = || async {
            match self.client.describe_table().table_name(name).send().await {
                Ok(answer) => Ok(answer.table),
                Err(error) if error.code() == Some("ResourceNotFoundException") => Ok(None),
                Err(error) => Err(fault::of(&error)),
            }
        };
        self.repeat(ask).await
    }

    /// Whether a table can be brought back to an earlier time; `None` where the server has no such thing.
    async fn recoverable(&self, name: &str) -> Result<Option<bool>, Error> {
        let ask = || async {
            match self.client.describe_continuous_backups().table_name(name).send().await {
                Ok(answer) => {
                    let backups = answer.continuous_backups_description;
                    let recovery = backups.and_then(|found| found.point_in_time_recovery_description);
                    let status = recovery.and_then(|found| found.point_in_time_recovery_status);
                    Ok(Some(status == Some(PointInTimeRecoveryStatus::Enabled)))
                }
                Err(error) if error.code() == Some("UnknownOperationException") => Ok(None),
                Err(error) => Err(fault::of(&error)),
            }
        };
        self.repeat(ask).await
    }

    async fn create(&self, table: &'static Table) -> Result<(), Error> {
        let name = self.name(table);
        let indexes =
            table.indexes.iter().map(index_definition).collect::<Result<Vec<_>, _>>().map_err(unbuilt)?;
        let sk = table.sorted.then_some(SK);
        let keys = key_schema(PK, sk).map_err(unbuilt)?;
        let names = table.indexes.iter().flat_map(|index| [Some(index.pk), index.sk]).flatten();
        let attributes = attributes([Some(PK), sk].into_iter().flatten().chain(names)).map_err(unbuilt)?;
        let make = || async {
            let request = self
                .client
                .create_table()
                .table_name(&name)
                .set_attribute_definitions(Some(attributes.clone()))
                .set_key_schema(Some(keys.clone()))
                .billing_mode(BillingMode::PayPerRequest)
                .set_global_secondary_indexes((!indexes.is_empty()).then(|| indexes.clone()));
            match request.send().await {
                Ok(_) => Ok(()),
                // Somebody else is at it, or an earlier attempt was heard after all.
                Err(error) if error.code() == Some("ResourceInUseException") => Ok(()),
                Err(error) => Err(fault::of(&error)),
            }
        };
        self.repeat(make).await?;
        self.wait(&name).await
    }

    async fn create_index(&self, table: &'static Table, index: &str) -> Result<(), Error> {
        let Some(index) = table.indexes.iter().find(|known| known.name == index) else {
            return Err(Error::Invalid(format!("{} has no index {index}", table.name)));
        };
        let name = self.name(table);
        let action = CreateGlobalSecondaryIndexAction::builder()
            .index_name(index.name)
            .set_key_schema(Some(key_schema(index.pk, index.sk).map_err(unbuilt)?))
            .projection(keys_only());
        let update = GlobalSecondaryIndexUpdate::builder().create(action.build().map_err(unbuilt)?).build();
        let sk = table.sorted.then_some(SK);
        let names = [Some(PK), sk, Some(index.pk), index.sk].into_iter().flatten();
        let attributes = attributes(names).map_err(unbuilt)?;
        let make = || async {
            let request = self
                .client
                .update_table()
                .table_name(&name)
                .set_attribute_definitions(Some(attributes.clone()))
                .global_secondary_index_updates(update.clone());
            request.send().await.map(drop).map_err(|error| fault::of(&error))
        };
        self.repeat(make).await?;
        self.wait(&name).await
    }

    /// A table that was just made has no backups yet, and the service says so until it has.
    async fn enable_recovery(&self, name: &str) -> Result<(), Error> {
        let specification = PointInTimeRecoverySpecification::builder().point_in_time_recovery_enabled(true);
        let specification = specification.build().map_err(unbuilt)?;
        let enable = || async {
            let request = self.client.update_continuous_backups().table_name(name);
            match request.point_in_time_recovery_specification(specification.clone()).send().await {
                Ok(_) => Ok(true),
                Err(error) if error.code() == Some("UnknownOperationException") => Ok(true),
                Err(error) if error.code() == Some("ContinuousBackupsUnavailableException") => Ok(false),
                Err(error) => Err(fault::of(&error)),
            }
        };
        let until = Instant::now() + MOST_WAIT;
        while !self.repeat(enable).await? {
            self.look_later(name, until).await?;
        }
        Ok(())
    }

    /// Waits until a table and its indexes are there.
    async fn wait(&self, name: &str) -> Result<(), Error> {
        let until = Instant::now() + MOST_WAIT;
        while !self.describe(name).await?.is_some_and(|there| is_active(&there)) {
            self.look_later(name, until).await?;
        }
        Ok(())
    }

    async fn look_later(&self, name: &str, until: Instant) -> Result<(), Error> {
        if Instant::now() >= until {
            let minutes = MOST_WAIT.as_secs() / 60;
            return Err(Error::Unavailable(format!("{name} is not ready after {minutes} minutes")));
        }
        sleep(LOOK).await;
        Ok(())
    }

    /// None of these does harm when it is done twice.
    async fn repeat<T, F>(&self, attempt: impl Fn() -> F) -> Result<T, Error>
    where
        F: Future<Output = Result<T, Fault>>,
    {
        let mut call = self.timing.begin(Twice::Harmless).await?;
        loop {
            match call.attempt(attempt()).await {
                Ok(value) => return Ok(value),
                Err(fault) => call.again(fault).await?,
            }
        }
    }
}

/// What lacks, and what is other than it is defined.
fn differences(table: &Table, there: &TableDescription) -> (Vec<TableStep>, Vec<String>) {
    let (mut steps, mut drift) = (Vec::new(), Vec::new());
    let sk = table.sorted.then_some(SK);
    let keys = keys_of(there.key_schema());
    if keys != names(PK, sk) {
        drift.push(format!("its key is ({}), not ({})", keys.join(", "), names(PK, sk).join(", ")));
    }
    let indexes = there.global_secondary_indexes();
    for index in table.indexes {
        let Some(found) = indexes.iter().find(|found| found.index_name() == Some(index.name)) else {
            steps.push(TableStep::CreateIndex(index.name));
            continue;
        };
        let (keys, defined) = (keys_of(found.key_schema()), names(index.pk, index.sk));
        if keys != defined {
            let (keys, defined) = (keys.join(", "), defined.join(", "));
            drift.push(format!("the key of its index {} is ({keys}), not ({defined})", index.name));
        }
        // More than keys costs more and harms nothing, but whoever reads the plan should know.
        let projection = found.projection().and_then(Projection::projection_type);
        if projection != Some(&ProjectionType::KeysOnly) {
            drift.push(format!("its index {} holds more than keys", index.name));
        }
    }
    let defined = |name: &str| table.indexes.iter().any(|index| index.name == name);
    for name in indexes.iter().filter_map(|found| found.index_name()).filter(|name| !defined(name)) {
        drift.push(format!("nothing here uses its index {name}"));
    }
    let used =
        [Some(PK), sk].into_iter().chain(table.indexes.iter().flat_map(|index| [Some(index.pk), index.sk]));
    for name in used.flatten() {
        let found = there.attribute_definitions().iter().find(|found| found.attribute_name() == name);
        if found.is_some_and(|found| found.attribute_type() != &ScalarAttributeType::S) {
            drift.push(format!("its key `{name}` is no text"));
        }
    }
    let billing = there.billing_mode_summary().and_then(|summary| summary.billing_mode());
    if billing != Some(&BillingMode::PayPerRequest) {
        drift.push("its throughput is provisioned, not on demand".to_owned());
    }
    (steps, drift)
}

fn is_active(there: &TableDescription) -> bool {
    let indexes = there.global_secondary_indexes();
    there.table_status() == Some(&TableStatus::Active)
        && indexes.iter().all(|index| index.index_status() == Some(&IndexStatus::Active))
}

fn names(pk: &'static str, sk: Option<&'static str>) -> Vec<&'static str> {
    [Some(pk), sk].into_iter().flatten().collect()
}

/// Names of a key's parts, the partition key first.
fn keys_of(schema: &[KeySchemaElement]) -> Vec<&str> {
    let mut keys: Vec<_> = schema.iter().collect();
    keys.sort_by_key(|key| key.key_type() != &KeyType::Hash);
    keys.into_iter().map(KeySchemaElement::attribute_name).collect()
}

fn key_schema(pk: &str, sk: Option<&str>) -> Result<Vec<KeySchemaElement>, BuildError> {
    let element = |name: &str, kind| KeySchemaElement::builder().attribute_name(name).key_type(kind).build();
    let sk = sk.map(|sk| element(sk, KeyType::Range));
    [Some(element(pk, KeyType::Hash)), sk].into_iter().flatten().collect()
}

/// Every attribute once, as text.
fn attributes(names: impl Iterator<Item = &'static str>) -> Result<Vec<AttributeDefinition>, BuildError> {
    let mut names: Vec<_> = names.collect();
    names.sort_unstable();
    names.dedup();
    let text = |name| {
        AttributeDefinition::builder().attribute_name(name).attribute_type(ScalarAttributeType::S).build()
    };
    names.into_iter().map(text).collect()
}

fn index_definition(index: &Index) -> Result<GlobalSecondaryIndex, BuildError> {
    GlobalSecondaryIndex::builder()
        .index_name(index.name)
        .set_key_schema(Some(key_schema(index.pk, index.sk)?))
        .projection(keys_only())
        .build()
}

fn keys_only() -> Projection {
    Projection::builder().projection_type(ProjectionType::KeysOnly).build()
}

fn unbuilt(error: BuildError) -> Error {
    Error::Invalid(error.to_string())
}

#[cfg(test)]
mod tests {
    use aws_sdk_dynamodb::types::{BillingModeSummary, GlobalSecondaryIndexDescription};

    use super::*;

    static TABLE: Table = Table {
        name: "t",
        sorted: true,
        indexes: &[
            Index { name: "pending", pk: "shard", sk: Some("since") },
            Index { name: "by_event", pk: "event", sk: None },
        ],
    };

    fn index(
        name: &str,
        pk: &str,
        sk: Option<&str>,
        kind: ProjectionType,
    ) -> GlobalSecondaryIndexDescription {
        GlobalSecondaryIndexDescription::builder()
            .index_name(name)
            .set_key_schema(Some(key_schema(pk, sk).expect("keys")))
            .projection(Projection::builder().projection_type(kind).build())
            .build()
    }

    #[test]
    fn differences_are_made_or_told() {
        use ProjectionType::{All, KeysOnly};
        let there = |pk, sk, mode, indexes: Vec<GlobalSecondaryIndexDescription>| {
            TableDescription::builder()
                .set_key_schema(Some(key_schema(pk, sk).expect("keys")))
                .billing_mode_summary(BillingModeSummary::builder().billing_mode(mode).build())
                .set_global_secondary_indexes(Some(indexes))
                .build()
        };
        let demand = BillingMode::PayPerRequest;
        let pending = || index("pending", "shard", Some("since"), KeysOnly);
        let by_event = || index("by_event", "event", None, KeysOnly);
        for (there, steps, drift) in [
            (there("pk", Some("sk"), demand.clone(), vec![by_event(), pending()]), vec![], vec![]),
            (
                there("pk", Some("sk"), demand.clone(), vec![pending()]),
                vec![TableStep::CreateIndex("by_event")],
                vec![],
            ),
            (
                there("pk", None, BillingMode::Provisioned, vec![pending(), by_event()]),
                vec![],
                vec!["its key is (pk), not (pk, sk)", "its throughput is provisioned, not on demand"],
            ),
            (
                there(
                    "pk",
                    Some("sk"),
                    demand,
                    vec![index("pending", "shard", None, All), by_event(), index("old", "x", None, KeysOnly)],
                ),
                vec![],
                vec![
                    "the key of its index pending is (shard), not (shard, since)",
                    "its index pending holds more than keys",
                    "nothing here uses its index old",
                ],
            ),
        ] {
            let found = differences(&TABLE, &there);
            assert_eq!(found.0, steps);
            assert_eq!(found.1, drift);
        }
    }
}
