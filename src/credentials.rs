//! The AWS credentials of this process: one source, which fleet and ledger share. Main function: [`sdk`].
//!
//! A source may be slow: `credential_process` starts a program, single sign-on asks a server. So credentials are fetched
//! outside the time-outs of calls, kept, and renewed in the background before they end. [`ready`] waits for them;
//! every call does that before its own time begins. Nothing here knows what the credentials are used for.

mod told;

use std::collections::BTreeMap;
use std::sync::{Arc, PoisonError, RwLock};
use std::time::{Duration, SystemTime};

use aws_config::identity::IdentityCache;
use aws_config::sts::AssumeRoleProvider;
use aws_config::{BehaviorVersion, Region, SdkConfig};
use aws_credential_types::Credentials;
use aws_credential_types::provider::error::CredentialsError;
use aws_credential_types::provider::{ProvideCredentials, SharedCredentialsProvider, future};
use tokio::sync::Mutex;

use crate::model::Time;
use crate::policy::AssumedRole;
use crate::ports::Lasting;

pub(crate) use told::{Told, told};

/// How long a source may take. The AWS CLI, which is often the program of `credential_process`, takes seconds.
const FETCH: Duration = Duration::from_secs(60);

/// How long before their end credentials are renewed: longer than a source may take, with room for some attempts.
const AHEAD: Duration = Duration::from_secs(5 * 60);

/// Between two attempts to renew credentials that are still good.
const BETWEEN: Duration = Duration::from_secs(30);

/// The CLI writes it (`aws configure export-credentials --format env`), and aws-config does not read it.
const EXPIRATION: &str = "AWS_CREDENTIAL_EXPIRATION";

/// One process has one chain of sources, and one for each role that it assumes: without this each client would ask anew.
static SOURCES: Mutex<BTreeMap<Option<AssumedRole>, Arc<Source>>> = Mutex::const_new(BTreeMap::new());

/// The session's name of an assumed role, as CloudTrail and the caller's ARN show it.
const SESSION: &str = "safe-remove";

/// Until when credentials can be had that others were made from: an assumed role cannot be assumed again without them.
#[derive(Clone, Debug)]
struct Base(Lasting);

/// The SDK's configuration of the environment, with the shared source of credentials: those of the environment, or those
/// of a role that is assumed with them.
pub(crate) async fn sdk(region: Option<&str>, role: Option<&AssumedRole>) -> SdkConfig {
    let mut loader = aws_config::defaults(BehaviorVersion::latest());
    if let Some(region) = region {
        loader = loader.region(Region::new(region.to_owned()));
    }
    let sdk = loader.load().await;
    let Some(provider) = sdk.credentials_provider() else { return sdk };
    let mut sources = SOURCES.lock().await;
    let base = Arc::clone(sources.entry(None).or_insert_with(|| Arc::new(Source::of(provider, None))));
    let sdk = with(&sdk, &base);
    let Some(role) = role else { return sdk };
    if let Some(assumed) = sources.get(&Some(role.clone())) {
        return with(&sdk, assumed);
    }
    let mut builder = AssumeRoleProvider::builder(&role.arn).session_name(SESSION).configure(&sdk);
    if let Some(id) = &role.external_id {
        builder = builder.external_id(id);
    }
    let base = SharedCredentialsProvider::new(Shared(base));
    let provider = builder.build_from_provider(base.clone()).await;
    let assumed = Arc::new(Source::of(SharedCredentialsProvider::new(provider), Some(base)));
    let sdk = with(&sdk, &assumed);
    sources.insert(Some(role.clone()), assumed);
    sdk
}

/// The same configuration with this source.
fn with(sdk: &SdkConfig, source: &Arc<Source>) -> SdkConfig {
    let shared = SharedCredentialsProvider::new(Shared(Arc::clone(source)));
    // The SDK's own cache would ask again inside the time of a call.
    sdk.to_builder().credentials_provider(shared).identity_cache(IdentityCache::no_cache()).build()
}

/// Waits until there are credentials, for callers whose own time has not begun.
///
/// # Errors
///
/// The source has none, or does not answer.
pub(crate) async fn ready(provider: Option<&SharedCredentialsProvider>) -> Result<(), CredentialsError> {
    match provider {
        Some(provider) => provider.provide_credentials().await.map(drop),
        None => Ok(()),
    }
}

/// How long the provider's credentials last.
pub(crate) async fn lasting(provider: Option<&SharedCredentialsProvider>) -> Lasting {
    let Some(provider) = provider else { return Lasting::Unlimited };
    match provider.provide_credentials().await {
        Ok(credentials) => lasts(&credentials, is_of_environment(&credentials)),
        Err(_) => Lasting::Unknown,
    }
}

fn lasts(credentials: &Credentials, is_of_environment: bool) -> Lasting {
    // A role is assumed again as long as there are credentials to do it with.
    if let Some(Base(base @ (Lasting::Until(_) | Lasting::Unknown))) = credentials.get_property::<Base>() {
        return *base;
    }
    match credentials.expiry() {
        // Nobody sets them anew in the environment of a process that runs. Every other source is asked again.
        Some(end) if is_of_environment => Lasting::Until(time(end)),
        Some(end) => Lasting::Renewed(time(end)),
        None if credentials.session_token().is_some() => Lasting::Unknown,
        None => Lasting::Unlimited,
    }
}

fn is_of_environment(credentials: &Credentials) -> bool {
    std::env::var("AWS_ACCESS_KEY_ID").is_ok_and(|key| key.trim() == credentials.access_key_id())
}

fn time(at: SystemTime) -> Time {
    let since = at.duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default();
    Time::from_millis(i64::try_from(since.as_millis()).unwrap_or(i64::MAX))
}

/// The credentials with the end that the environment names for them.
fn with_end(mut credentials: Credentials, end: Option<&str>) -> Credentials {
    let Some(end) = end.filter(|end| !end.trim().is_empty() && credentials.expiry().is_none()) else {
        return credentials;
    };
    match end.trim().parse::<jiff::Timestamp>() {
        Ok(end) => *credentials.expiry_mut() = Some(end.into()),
        Err(error) => tracing::warn!("{EXPIRATION} is not used: {error}"),
    }
    credentials
}

/// A source, and what it gave last.
#[derive(Debug)]
struct Source {
    provider: SharedCredentialsProvider,
    /// The source of the credentials with which this one is asked.
    base: Option<SharedCredentialsProvider>,
    held: RwLock<Held>,
    /// One fetch at a time: the others wait for its result.
    fetching: Mutex<()>,
}

#[derive(Debug, Default)]
struct Held {
    credentials: Option<Credentials>,
    /// When they were last asked for.
    asked_at: Option<SystemTime>,
}

/// The step that the credentials need before they are used.
#[derive(Debug, PartialEq, Eq)]
enum Need {
    Nothing,
    /// They are good, and end soon.
    Renewal,
    /// There are none, or they have ended.
    Fetch,
}

impl Held {
    fn need(&self, now: SystemTime) -> Need {
        let Some(credentials) = &self.credentials else { return Need::Fetch };
        let Some(end) = credentials.expiry() else { return Need::Nothing };
        if end <= now {
            return Need::Fetch;
        }
        let lately = self.asked_at.is_some_and(|at| at <= now && now < at + BETWEEN);
        if end > now + AHEAD || lately { Need::Nothing } else { Need::Renewal }
    }
}

impl Source {
    fn of(provider: SharedCredentialsProvider, base: Option<SharedCredentialsProvider>) -> Self {
        Self { provider, base, held: RwLock::default(), fetching: Mutex::default() }
    }

    fn held(&self) -> (Need, Option<Credentials>) {
        let held = self.held.read().unwrap_or_else(PoisonError::into_inner);
        (held.need(SystemTime::now()), held.credentials.clone())
    }

    /// Asks the source, unless another fetch has just brought what is needed.
    async fn fetch(&self) -> Result<Credentials, CredentialsError> {
        let _one_at_a_time = self.fetching.lock().await;
        if let (Need::Nothing, Some(credentials)) = self.held() {
            return Ok(credentials);
        }
        self.held.write().unwrap_or_else(PoisonError::into_inner).asked_at = Some(SystemTime::now());
        let asked = tokio::time::timeout(FETCH, self.provider.provide_credentials()).await;
        let found = asked.unwrap_or_else(|_| Err(CredentialsError::provider_timed_out(FETCH)))?;
        let end = std::env::var(EXPIRATION).ok().filter(|_| is_of_environment(&found));
        let mut found = with_end(found, end.as_deref());
        if let Some(base) = &self.base {
            found.set_property(Base(Box::pin(lasting(Some(base))).await));
        }
        self.held.write().unwrap_or_else(PoisonError::into_inner).credentials = Some(found.clone());
        Ok(found)
    }
}

/// The source as the SDK's clients see it.
#[derive(Debug)]
struct Shared(Arc<Source>);

impl ProvideCredentials for Shared {
    fn provide_credentials<'a>(&'a self) -> future::ProvideCredentials<'a>
    where
        Self: 'a,
    {
        match self.0.held() {
            (Need::Nothing, Some(credentials)) => future::ProvideCredentials::ready(Ok(credentials)),
            (Need::Renewal, Some(credentials)) => {
                let source = Arc::clone(&self.0);
                // Nobody waits for it: what is held is good.
                tokio::spawn(async move {
                    if let Err(error) = source.fetch().await {
                        tracing::warn!("the AWS credentials could not be renewed: {}", crate::model::chain(&error));
                    }
                });
                future::ProvideCredentials::ready(Ok(credentials))
            }
            (Need::Nothing | Need::Renewal | Need::Fetch, _) => future::ProvideCredentials::new(self.0.fetch()),
        }
    }
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicU32, Ordering};

    use super::*;

    /// Gives other credentials each time, which last this long, and takes this long to do so.
    #[derive(Debug)]
    struct Slow {
        asked: AtomicU32,
        lasts: Duration,
        takes: Duration,
    }

    impl ProvideCredentials for Slow {
        fn provide_credentials<'a>(&'a self) -> future::ProvideCredentials<'a>
        where
            Self: 'a,
        {
            future::ProvideCredentials::new(async move {
                tokio::time::sleep(self.takes).await;
                let number = self.asked.fetch_add(1, Ordering::Relaxed);
                let end = SystemTime::now() + self.lasts;
                Ok(Credentials::new(format!("key-{number}"), "secret", None, Some(end), "test"))
            })
        }
    }

    fn shared(lasts: Duration, takes: Duration) -> SharedCredentialsProvider {
        let slow = Slow { asked: AtomicU32::new(0), lasts, takes };
        SharedCredentialsProvider::new(Shared(Arc::new(Source::of(SharedCredentialsProvider::new(slow), None))))
    }

    async fn key(provider: &SharedCredentialsProvider) -> String {
        provider.provide_credentials().await.expect("credentials").access_key_id().to_owned()
    }

    #[tokio::test]
    async fn a_slow_source_is_asked_once_for_all() {
        let provider = shared(Duration::from_secs(3600), Duration::from_millis(50));
        let keys = futures_util::future::join_all((0..9).map(|_| key(&provider))).await;
        assert_eq!(keys, ["key-0"; 9]);
        assert_eq!(key(&provider).await, "key-0");
    }

    #[tokio::test]
    async fn what_ends_soon_is_used_while_it_is_renewed() {
        let provider = shared(AHEAD - Duration::from_secs(1), Duration::from_millis(50));
        assert_eq!(key(&provider).await, "key-0");
        // It was asked for a moment ago: once in a while is enough.
        assert_eq!(key(&provider).await, "key-0");
    }

    #[test]
    fn the_need_depends_on_the_end_and_on_the_last_attempt() {
        let now = SystemTime::now();
        let held = |lasts: Option<Duration>, asked: Duration| {
            let end = lasts.map(|lasts| now + lasts);
            let credentials = Some(Credentials::new("key", "secret", None, end, "test"));
            Held { credentials, asked_at: Some(now - asked) }.need(now)
        };
        let second = Duration::from_secs(1);
        assert_eq!(Held::default().need(now), Need::Fetch);
        assert_eq!(held(None, BETWEEN), Need::Nothing);
        assert_eq!(held(Some(AHEAD + second), BETWEEN), Need::Nothing);
        assert_eq!(held(Some(AHEAD), BETWEEN), Need::Renewal);
        assert_eq!(held(Some(AHEAD), BETWEEN - second), Need::Nothing);
        assert_eq!(held(Some(Duration::ZERO), Duration::ZERO), Need::Fetch);
    }

    #[test]
    fn only_what_the_environment_ends_is_not_renewed() {
        let plain = || Credentials::new("key", "secret", None, None, "test");
        let token = || Credentials::new("key", "secret", Some("token".to_owned()), None, "test");
        let end = Some("2026-11-29T13:00:00Z");
        let at = Time::from_millis(1_795_957_200_000);
        assert_eq!(lasts(&plain(), true), Lasting::Unlimited);
        assert_eq!(lasts(&token(), true), Lasting::Unknown);
        assert_eq!(lasts(&with_end(token(), end), true), Lasting::Until(at));
        assert_eq!(lasts(&with_end(token(), Some("2026-11-29T14:00:00+01:00")), true), Lasting::Until(at));
        assert_eq!(lasts(&with_end(token(), end), false), Lasting::Renewed(at));
        assert_eq!(lasts(&with_end(token(), Some("soon")), true), Lasting::Unknown);
        // The source's own word comes first.
        let own = Credentials::new("key", "secret", None, Some(SystemTime::UNIX_EPOCH), "test");
        assert_eq!(lasts(&with_end(own, end), false), Lasting::Renewed(Time::from_millis(0)));
    }
}
