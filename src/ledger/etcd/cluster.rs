//! One etcd cluster with several endpoints: a call goes to the first endpoint that answers.
//!
//! A call is repeated at the next endpoint whether or not the one before may have been done: a ledger sends only reads
//! and transactions that hold once, so a repeat finds out what became of the first. Must not know what a ledger is.

use std::io;
use std::path::PathBuf;
use std::sync::atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering};
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use tokio::time::{Instant, timeout};
use tonic::codegen::http::uri::PathAndQuery;
use tonic::transport::{Certificate, Channel, ClientTlsConfig, Endpoint, Identity};
use tonic::{Code, Request, Status};
use tonic_prost::ProstCodec;

use crate::policy::EtcdPlace;

use super::error::EtcdError;
use super::wire::{Answer, Method};

/// An attempt is not started with less time left than this.
const SHORTEST: Duration = Duration::from_millis(100);

/// Rounds over the endpoints, where all of them refuse at once.
const ROUNDS: u32 = 3;

/// Far above etcd's default limit of a request: a ledger must stay readable where its administrator raised that limit.
const LARGEST_ANSWER: usize = 64 << 20;

/// A call that did not succeed.
#[derive(Debug)]
pub(super) struct Failed {
    /// The error of the endpoint that was asked last.
    pub(super) error: EtcdError,
    /// Whether an endpoint may have done it nevertheless.
    pub(super) in_doubt: bool,
}

/// One attempt at one endpoint.
enum Attempt {
    /// Nothing was done; another endpoint may do it.
    NotDone(EtcdError),
    /// It may have been done.
    Unknown(EtcdError),
    /// The answer of the whole cluster: asking another member is of no use.
    Refused(EtcdError),
}

/// The endpoints of one cluster.
#[derive(Debug)]
pub(super) struct Cluster {
    members: Vec<Member>,
    /// The timeout of one attempt at one endpoint.
    attempt: Duration,
    prefix: String,
    /// The index of the endpoint that answered last.
    preferred: AtomicUsize,
    /// The cluster's id, from its first answer; 0 before that.
    id: AtomicU64,
    /// The last call failed: it got no answer, or only refusals that may be retried.
    lost: AtomicBool,
}

#[derive(Debug)]
struct Member {
    name: String,
    endpoint: Endpoint,
    channel: Mutex<Option<Channel>>,
}

impl Cluster {
    /// Reads the certificates. Does not connect yet.
    pub(super) fn new(settings: &EtcdPlace) -> Result<Self, EtcdError> {
        let read = |key, path: &PathBuf| {
            std::fs::read(path).map_err(|source| EtcdError::File { key, path: path.clone(), source })
        };
        let mut tls = ClientTlsConfig::new();
        tls = match &settings.ca {
            Some(path) => tls.ca_certificate(Certificate::from_pem(read("ca", path)?)),
            None => tls.with_native_roots(),
        };
        if let Some((cert, key)) = &settings.identity {
            tls = tls.identity(Identity::from_pem(read("cert", cert)?, read("key", key)?));
        }
        let members = settings
            .endpoints
            .iter()
            .map(|name| Member::new(name, &tls, settings.attempt))
            .collect::<Result<Vec<_>, _>>()?;
        let prefix = settings.prefix.clone();
        Ok(Self {
            members,
            attempt: settings.attempt,
            prefix,
            preferred: AtomicUsize::new(0),
            id: AtomicU64::new(0),
            lost: AtomicBool::new(false),
        })
    }

    /// Makes one call, at the first endpoint that answers.
    pub(super) async fn call<M: Method>(&self, request: &M) -> Result<M::Answer, Failed> {
        // After a call that failed there is less time: a bake is being watched, and hosts wait to be restored.
        let limit = if self.lost.load(Ordering::Relaxed) { self.attempt / 2 } else { self.attempt * 2 };
        let end = Instant::now() + limit;
        let first = self.preferred.load(Ordering::Relaxed);
        let mut in_doubt = false;
        let mut last = None;
        for round in 0..ROUNDS {
            for offset in 0..self.members.len() {
                let place = (first + offset) % self.members.len();
                let Some(member) = self.members.get(place) else { continue };
                let left = self.attempt.min(end.saturating_duration_since(Instant::now()));
                if left < SHORTEST {
                    break;
                }
                let attempt = match timeout(left, self.attempt(member, request)).await {
                    Ok(Ok(answer)) => {
                        self.preferred.store(place, Ordering::Relaxed);
                        self.lost.store(false, Ordering::Relaxed);
                        return Ok(answer);
                    }
                    Ok(Err(attempt)) => attempt,
                    Err(_) => Attempt::Unknown(EtcdError::NoAnswer { endpoint: member.name.clone() }),
                };
                match attempt {
                    Attempt::NotDone(error) => last = Some(error),
                    Attempt::Unknown(error) => {
                        in_doubt = true;
                        member.hang_up();
                        last = Some(error);
                    }
                    Attempt::Refused(error) => return Err(Failed { error, in_doubt }),
                }
            }
            if end.saturating_duration_since(Instant::now()) < SHORTEST {
                break;
            }
            pause(round).await;
        }
        self.lost.store(true, Ordering::Relaxed);
        // The next call has a short timeout, so it begins with another endpoint.
        self.preferred.store((first + 1) % self.members.len().max(1), Ordering::Relaxed);
        // Only a cluster without endpoints is never asked, and the policy check refuses that.
        let error = last.unwrap_or(EtcdError::NoAnswer { endpoint: "no endpoint".to_owned() });
        Err(Failed { error, in_doubt })
    }

    async fn attempt<M: Method>(&self, member: &Member, request: &M) -> Result<M::Answer, Attempt> {
        let channel = member.connected().await.map_err(Attempt::NotDone)?;
        let mut grpc = tonic::client::Grpc::new(channel).max_decoding_message_size(LARGEST_ANSWER);
        grpc.ready().await.map_err(|error| Attempt::Unknown(member.unreachable(error)))?;
        let codec: ProstCodec<M, M::Answer> = ProstCodec::default();
        let path = PathAndQuery::from_static(M::PATH);
        let answer = grpc.unary(Request::new(request.clone()), path, codec).await;
        let answer = answer.map_err(|status| self.judge(member, status))?.into_inner();
        self.is_the_same(member, answer.cluster())?;
        Ok(answer)
    }

    /// A cluster that was created anew at the same addresses, even from a copy, has another id: its past may differ.
    fn is_the_same(&self, member: &Member, now: u64) -> Result<(), Attempt> {
        match self.id.compare_exchange(0, now, Ordering::Relaxed, Ordering::Relaxed) {
            Err(began) if began != now => {
                Err(Attempt::Refused(EtcdError::AnotherCluster { endpoint: member.name.clone(), began, now }))
            }
            Ok(_) | Err(_) => Ok(()),
        }
    }

    /// Converts a gRPC status: whether the call may have been done, and what the operator is told.
    fn judge(&self, member: &Member, status: Status) -> Attempt {
        let endpoint = member.name.clone();
        let says = |what: &str| status.message().contains(what);
        let full = says("database space exceeded");
        let (too_many, too_large) =
            (says("too many requests"), says("request is too large") || says("received message larger than max"));
        let nobody = says("user name is empty") || says("user name not found");
        match status.code() {
            Code::ResourceExhausted if full => Attempt::Refused(EtcdError::Full { endpoint, source: Box::new(status) }),
            // Refused by the member before it was proposed to the others.
            Code::ResourceExhausted if too_many => {
                Attempt::NotDone(EtcdError::NoQuorum { endpoint, source: Box::new(status) })
            }
            Code::InvalidArgument | Code::ResourceExhausted if too_large => {
                Attempt::Refused(EtcdError::TooLarge(Box::new(status)))
            }
            Code::InvalidArgument if nobody => Attempt::Refused(self.denied(endpoint, status)),
            Code::PermissionDenied | Code::Unauthenticated => Attempt::Refused(self.denied(endpoint, status)),
            Code::InvalidArgument
            | Code::FailedPrecondition
            | Code::ResourceExhausted
            | Code::OutOfRange
            | Code::Unimplemented
            | Code::NotFound
            | Code::AlreadyExists
            | Code::DataLoss => Attempt::Refused(EtcdError::Refused { endpoint, source: Box::new(status) }),
            Code::Unavailable if status.message().starts_with("etcdserver:") => {
                Attempt::Unknown(EtcdError::NoQuorum { endpoint, source: Box::new(status) })
            }
            Code::Ok
            | Code::Unavailable
            | Code::Cancelled
            | Code::DeadlineExceeded
            | Code::Aborted
            | Code::Unknown
            | Code::Internal => Attempt::Unknown(member.unreachable(status)),
        }
    }

    fn denied(&self, endpoint: String, status: Status) -> EtcdError {
        EtcdError::Denied { endpoint, prefix: self.prefix.clone(), source: Box::new(status) }
    }
}

/// The errors of an established connection that the other side closes.
const CUT: [io::ErrorKind; 4] = [
    io::ErrorKind::BrokenPipe,
    io::ErrorKind::ConnectionReset,
    io::ErrorKind::ConnectionAborted,
    io::ErrorKind::UnexpectedEof,
];

impl Member {
    fn new(name: &str, tls: &ClientTlsConfig, attempt: Duration) -> Result<Self, EtcdError> {
        let wrong = |source| EtcdError::Address { endpoint: name.to_owned(), source };
        let mut endpoint = Endpoint::from_shared(name.to_owned()).map_err(wrong)?.connect_timeout(attempt);
        if name.starts_with("https:") {
            endpoint = endpoint
                .tls_config(tls.clone())
                .map_err(|source| EtcdError::Certificate { endpoint: name.to_owned(), source: Box::new(source) })?;
        }
        Ok(Self { name: name.to_owned(), endpoint, channel: Mutex::new(None) })
    }

    /// Connects before anything is sent: a call that fails here was certainly not done.
    async fn connected(&self) -> Result<Channel, EtcdError> {
        let kept = self.channel.lock().unwrap_or_else(PoisonError::into_inner).clone();
        if let Some(channel) = kept {
            return Ok(channel);
        }
        let channel = self.endpoint.connect().await.map_err(|error| self.unreachable(error))?;
        *self.channel.lock().unwrap_or_else(PoisonError::into_inner) = Some(channel.clone());
        Ok(channel)
    }

    fn hang_up(&self) {
        *self.channel.lock().unwrap_or_else(PoisonError::into_inner) = None;
    }

    /// Judges a connection error by its root cause: a certificate that is not accepted is not a network error. A server
    /// that does not trust the client's certificate says so only after the handshake, by closing the connection.
    fn unreachable(&self, error: impl std::error::Error + Send + Sync + 'static) -> EtcdError {
        let (endpoint, source) = (self.name.clone(), Box::new(error));
        let mut cause: Option<&(dyn std::error::Error + 'static)> = Some(source.as_ref());
        while let Some(error) = cause {
            let text = error.to_string();
            // Which error it is depends on how much the client had sent when the server closed the connection.
            let is_cut = error.downcast_ref::<io::Error>().is_some_and(|error| CUT.contains(&error.kind()));
            let closed = self.name.starts_with("https:") && (is_cut || text.contains("connection closed"));
            if closed || text.contains("certificate") || text.contains("received fatal alert") {
                return EtcdError::Certificate { endpoint, source };
            }
            cause = error.source();
        }
        EtcdError::NoConnection { endpoint, source }
    }
}

/// Pauses with jitter before the next round, so that fifty clients do not reach a new leader at once.
async fn pause(round: u32) {
    let most = 100_u64 << round.min(4);
    let jitter = u64::from(uuid::Uuid::new_v4().as_bytes()[0]) * most / 255;
    tokio::time::sleep(Duration::from_millis(most / 4 + jitter)).await;
}
