//! The table itself: calls that are retried within limits, and how the table is created and protected.

use std::error::Error;
use std::future::Future;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use aws_config::retry::RetryConfig;
use aws_config::timeout::TimeoutConfig;
use aws_config::{Region, SdkConfig};
use aws_credential_types::provider::SharedCredentialsProvider;
use aws_sdk_dynamodb::Client;
use aws_sdk_dynamodb::types::{
    AttributeDefinition, BillingMode, ContinuousBackupsStatus, KeySchemaElement, KeyType,
    PointInTimeRecoverySpecification, PointInTimeRecoveryStatus, ScalarAttributeType, TableDescription, TableStatus,
};
use aws_smithy_runtime_api::client::orchestrator::HttpResponse;
use aws_smithy_runtime_api::client::result::SdkError;
use aws_smithy_types::error::metadata::ProvideErrorMetadata;

use super::error::{DynamoDbError, Next, judge};
use crate::credentials;
use crate::policy::DynamodbPlace;
use crate::ports::LedgerError;

/// The partition key and the sort key.
pub(super) const PK: &str = "pk";
pub(super) const SK: &str = "sk";

/// Attempts per call. A run that loses its ledger may restore for `offline_limit`, and retries count towards that.
const TRIES: u32 = 4;

/// Attempts where the call before this one got no answer: hosts wait to be restored in the meantime.
const TRIES_AFTER_A_LOSS: u32 = 1;

/// How long the creation of a table may take. AWS: seconds.
const MAKING: Duration = Duration::from_secs(60);

/// A call that did not succeed.
#[derive(Debug)]
pub(super) struct Failed {
    /// The error of the last attempt.
    pub(super) error: DynamoDbError,
    /// Whether an attempt may have been done nevertheless.
    pub(super) in_doubt: bool,
}

/// A table in an account and region, whether it exists or not.
#[derive(Debug)]
pub(super) struct Table {
    pub(super) client: Client,
    pub(super) name: String,
    /// Fetched before a call, because an attempt's time is too short for a slow source.
    pub(super) credentials: Option<SharedCredentialsProvider>,
    /// The last call failed: it got no answer, or only refusals that may be retried.
    lost: AtomicBool,
}

/// The result of `ledger init`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Initialised {
    /// The table did not exist before.
    pub created: bool,
    /// What was changed on a table that existed, in words.
    pub changed: Vec<&'static str>,
    /// The table's ARN, where AWS returns it.
    pub(crate) arn: Option<String>,
}

/// The SDK configuration of the environment: credentials, endpoint, and the region where the policy has none.
pub(super) async fn sdk(place: &DynamodbPlace) -> SdkConfig {
    credentials::sdk(place.region.as_deref(), place.role.as_ref()).await
}

impl Table {
    pub(super) fn new(sdk: &SdkConfig, place: &DynamodbPlace) -> Result<Self, DynamoDbError> {
        let mut sdk = sdk.to_builder();
        if let Some(region) = &place.region {
            sdk = sdk.region(Region::new(region.clone()));
        }
        let timeouts = TimeoutConfig::builder()
            .connect_timeout(place.attempt)
            .operation_attempt_timeout(place.attempt)
            .operation_timeout(place.attempt);
        // Attempts are counted here, so that the error of a later attempt does not hide what an earlier one may have
        // done.
        let sdk = sdk.retry_config(RetryConfig::disabled()).timeout_config(timeouts.build()).build();
        if sdk.region().is_none() {
            return Err(DynamoDbError::NoRegion);
        }
        let credentials = sdk.credentials_provider();
        Ok(Self { client: Client::new(&sdk), name: place.table.clone(), credentials, lost: AtomicBool::new(false) })
    }

    /// Makes one call, with retries and jitter where they can help. Returns `None` where the condition of a write did
    /// not hold. A write is retried whether or not the attempt before may have been done: its condition holds only
    /// once.
    pub(super) async fn call<T, E, F>(&self, mut send: impl FnMut() -> F) -> Result<Option<T>, Failed>
    where
        E: Error + ProvideErrorMetadata + 'static,
        F: Future<Output = Result<T, SdkError<E, HttpResponse>>>,
    {
        if let Err(error) = credentials::ready(self.credentials.as_ref()).await {
            return Err(Failed { error: DynamoDbError::no_credentials(&error), in_doubt: false });
        }
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

    /// Creates the table where there is none: on-demand, with deletion protection and point-in-time recovery. Switches
    /// both on for an existing table. Safe to repeat.
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

    /// Two processes that create the table at once create one table.
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
            // Created by another process, or by an attempt of ours whose answer was lost.
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

    /// Switches point-in-time recovery on, and returns whether that was needed.
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

/// Whether the key of the table, and the types of its attributes, are a ledger's.
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

/// Pauses twice as long after each attempt, with jitter, up to about a second, so that fifty writers that were
/// throttled do not retry at once.
async fn pause(tried: u32) {
    let most = 50_u64 << tried.min(4);
    let jitter = u64::from(uuid::Uuid::new_v4().as_bytes()[0]) * most / 255;
    tokio::time::sleep(Duration::from_millis(most / 4 + jitter)).await;
}
