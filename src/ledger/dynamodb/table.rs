//! The table as such: calls that are tried again within limits, and how it is made and protected.

use std::error::Error;
use std::future::Future;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use aws_config::retry::RetryConfig;
use aws_config::timeout::TimeoutConfig;
use aws_config::{BehaviorVersion, Region, SdkConfig};
use aws_sdk_dynamodb::Client;
use aws_sdk_dynamodb::types::{
    AttributeDefinition, BillingMode, ContinuousBackupsStatus, KeySchemaElement, KeyType,
    PointInTimeRecoverySpecification, PointInTimeRecoveryStatus, ScalarAttributeType, TableDescription, TableStatus,
};
use aws_smithy_runtime_api::client::orchestrator::HttpResponse;
use aws_smithy_runtime_api::client::result::SdkError;
use aws_smithy_types::error::metadata::ProvideErrorMetadata;

use super::error::{DynamoDbError, Next, judge};
use crate::policy::DynamodbPlace;
use crate::ports::LedgerError;

/// The partition key and the sort key.
pub(super) const PK: &str = "pk";
pub(super) const SK: &str = "sk";

/// One answer: a consistent read takes milliseconds.
const ATTEMPT: Duration = Duration::from_millis(1500);

/// Tries of one call. A run that loses its ledger may restore for `offline_limit` (30 s), its repeats included.
const TRIES: u32 = 4;

/// Tries where the call before this one got no answer: hosts wait to be put back in the meantime.
const TRIES_AFTER_A_LOSS: u32 = 1;

/// How long a new table may take. AWS: seconds.
const MAKING: Duration = Duration::from_secs(60);

/// A call that did not succeed.
#[derive(Debug)]
pub(super) struct Failed {
    /// Why, by the last try.
    pub(super) error: DynamoDbError,
    /// Whether a try may have done it all the same.
    pub(super) in_doubt: bool,
}

/// A table in an account and region, whether it exists or not.
#[derive(Debug)]
pub(super) struct Table {
    pub(super) client: Client,
    pub(super) name: String,
    /// The last call got no answer.
    lost: AtomicBool,
}

/// What `ledger init` found and did.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Initialised {
    /// It did not exist before.
    pub created: bool,
    /// Changes to a table that existed, in words.
    pub changed: Vec<&'static str>,
    /// The table's ARN, where AWS says it.
    pub(crate) arn: Option<String>,
}

/// The configuration of the environment: credentials, endpoint, and the region where the policy has none.
pub(super) async fn sdk(place: &DynamodbPlace) -> SdkConfig {
    let mut loader = aws_config::defaults(BehaviorVersion::latest());
    if let Some(region) = &place.region {
        loader = loader.region(Region::new(region.clone()));
    }
    loader.load().await
}

impl Table {
    pub(super) fn new(sdk: &SdkConfig, place: &DynamodbPlace) -> Result<Self, DynamoDbError> {
        let mut sdk = sdk.to_builder();
        if let Some(region) = &place.region {
            sdk = sdk.region(Region::new(region.clone()));
        }
        let timeouts = TimeoutConfig::builder()
            .connect_timeout(ATTEMPT)
            .operation_attempt_timeout(ATTEMPT)
            .operation_timeout(ATTEMPT);
        // Tries are counted here, so that what an earlier one may have done is not forgotten for a later one's error.
        let sdk = sdk.retry_config(RetryConfig::disabled()).timeout_config(timeouts.build()).build();
        if sdk.region().is_none() {
            return Err(DynamoDbError::NoRegion);
        }
        Ok(Self { client: Client::new(&sdk), name: place.table.clone(), lost: AtomicBool::new(false) })
    }

    /// One call, tried again with jitter where that can help; `None` where the condition of a write did not hold. A
    /// write is repeated whether or not the try before it may have been done: its condition holds once only.
    pub(super) async fn call<T, E, F>(&self, mut send: impl FnMut() -> F) -> Result<Option<T>, Failed>
    where
        E: Error + ProvideErrorMetadata + 'static,
        F: Future<Output = Result<T, SdkError<E, HttpResponse>>>,
    {
        let tries = if self.lost.load(Ordering::Relaxed) { TRIES_AFTER_A_LOSS } else { TRIES };
        let (mut in_doubt, mut tried) = (false, 0);
        loop {
            tried += 1;
            let (next, error) = match send().await {
                Ok(answer) => {
                    self.lost.store(false, Ordering::Relaxed);
                    return Ok(Some(answer));
                }
                Err(error) => judge(&error),
            };
            in_doubt |= next == Next::Unknown;
            match next {
                Next::Condition => return Ok(None),
                Next::GiveUp => return Err(Failed { error, in_doubt }),
                Next::Again | Next::Unknown if tried < tries => pause(tried).await,
                Next::Again | Next::Unknown => {
                    self.lost.store(true, Ordering::Relaxed);
                    return Err(Failed { error, in_doubt });
                }
            }
        }
    }

    /// Makes the table where there is none: on-demand, with deletion protection and point-in-time recovery; and gives
    /// both to one that is there. To repeat it does no harm.
    pub(super) async fn init(&self, place: &str) -> Result<Initialised, LedgerError> {
        self.make().await.map_err(|failed| failed.error.at(place, "made"))
    }

    async fn make(&self) -> Result<Initialised, Failed> {
        let mut changed = Vec::new();
        let found = match self.describe().await {
            Ok(found) => Some(found),
            Err(Failed { error: DynamoDbError::NoTable(_), .. }) => None,
            Err(failed) => return Err(failed),
        };
        let created = found.is_none();
        if created {
            self.create().await?;
        }
        let table = self.active().await?;
        if !is_a_ledgers(&table) {
            return Err(Failed { error: DynamoDbError::WrongKey(None), in_doubt: false });
        }
        if table.deletion_protection_enabled() != Some(true) {
            self.call(|| self.client.update_table().table_name(&self.name).deletion_protection_enabled(true).send())
                .await?;
            changed.push("deletion protection was switched on");
            self.active().await?;
        }
        if self.recover_in_time().await? && !created {
            changed.push("point-in-time recovery was switched on");
        }
        Ok(Initialised { created, changed: if created { Vec::new() } else { changed }, arn: table.table_arn })
    }

    async fn describe(&self) -> Result<TableDescription, Failed> {
        let answer = self.call(|| self.client.describe_table().table_name(&self.name).send()).await?;
        answer.and_then(|answer| answer.table).ok_or(Failed { error: DynamoDbError::NotActive, in_doubt: false })
    }

    /// Two that make it at once make one.
    async fn create(&self) -> Result<(), Failed> {
        let attribute =
            |name| AttributeDefinition::builder().attribute_name(name).attribute_type(ScalarAttributeType::S);
        let key = |name, of| KeySchemaElement::builder().attribute_name(name).key_type(of);
        let built = || -> Result<_, aws_smithy_types::error::operation::BuildError> {
            Ok((
                vec![attribute(PK).build()?, attribute(SK).build()?],
                vec![key(PK, KeyType::Hash).build()?, key(SK, KeyType::Range).build()?],
            ))
        };
        let (attributes, keys) =
            built().map_err(|_| Failed { error: DynamoDbError::WrongKey(None), in_doubt: false })?;
        let made = self
            .call(|| {
                self.client
                    .create_table()
                    .table_name(&self.name)
                    .set_attribute_definitions(Some(attributes.clone()))
                    .set_key_schema(Some(keys.clone()))
                    .billing_mode(BillingMode::PayPerRequest)
                    .deletion_protection_enabled(true)
                    .send()
            })
            .await;
        match made {
            Ok(_) => Ok(()),
            // Made by somebody else, or by a try of ours whose answer got lost.
            Err(failed) if self.describe().await.is_ok() => {
                tracing::debug!(?failed, "the table is there");
                Ok(())
            }
            Err(failed) => Err(failed),
        }
    }

    async fn active(&self) -> Result<TableDescription, Failed> {
        let end = tokio::time::Instant::now() + MAKING;
        while tokio::time::Instant::now() < end {
            let table = self.describe().await?;
            if matches!(table.table_status(), Some(TableStatus::Active)) {
                return Ok(table);
            }
            tokio::time::sleep(Duration::from_millis(250)).await;
        }
        Err(Failed { error: DynamoDbError::NotActive, in_doubt: false })
    }

    /// Whether it had to be switched on.
    async fn recover_in_time(&self) -> Result<bool, Failed> {
        let answer = self.call(|| self.client.describe_continuous_backups().table_name(&self.name).send()).await?;
        let backups = answer.and_then(|answer| answer.continuous_backups_description);
        let is_on = backups.is_some_and(|backups| {
            let recovery = backups.point_in_time_recovery_description();
            let status = recovery.and_then(|recovery| recovery.point_in_time_recovery_status());
            backups.continuous_backups_status() == &ContinuousBackupsStatus::Enabled
                && status == Some(&PointInTimeRecoveryStatus::Enabled)
        });
        if is_on {
            return Ok(false);
        }
        let on = PointInTimeRecoverySpecification::builder().point_in_time_recovery_enabled(true).build();
        let on = on.map_err(|_| Failed { error: DynamoDbError::NotActive, in_doubt: false })?;
        self.call(|| {
            self.client
                .update_continuous_backups()
                .table_name(&self.name)
                .point_in_time_recovery_specification(on.clone())
                .send()
        })
        .await?;
        Ok(true)
    }
}

/// Its key and the types of it.
fn is_a_ledgers(table: &TableDescription) -> bool {
    let key = |name: &str, of: &KeyType| {
        let is_string = table
            .attribute_definitions()
            .iter()
            .any(|a| a.attribute_name() == name && a.attribute_type() == &ScalarAttributeType::S);
        is_string && table.key_schema().iter().any(|k| k.attribute_name() == name && k.key_type() == of)
    };
    table.key_schema().len() == 2 && key(PK, &KeyType::Hash) && key(SK, &KeyType::Range)
}

/// Twice as long each time, with jitter, up to about a second: fifty writers that were throttled do not come at once.
async fn pause(tried: u32) {
    let most = 50_u64 << tried.min(4);
    let jitter = u64::from(uuid::Uuid::new_v4().as_bytes()[0]) * most / 255;
    tokio::time::sleep(Duration::from_millis(most / 4 + jitter)).await;
}
