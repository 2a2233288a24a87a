//! The few messages of etcd's KV service that a ledger needs, with their field numbers in etcd's `rpc.proto` and
//! `kv.proto`.
//!
//! They are written by hand because every etcd client on crates.io generates them with `protoc`, a C++ program, at
//! build time, and `cargo install safe-remove` must not need that. The protocol fixes the numbers for good; the tests
//! use a real etcd. Must not know what a ledger is.

use prost::{Message, Oneof};

/// A method of the KV service.
pub(super) trait Method: Message + Default + Clone + 'static {
    /// The type of its answer.
    type Answer: Answer;
    /// Its gRPC path.
    const PATH: &'static str;
}

/// An answer, with the id of its sender.
pub(super) trait Answer: Message + Default + 'static {
    /// The id of the cluster that answered; 0 where the answer has none.
    fn cluster(&self) -> u64;
}

impl Method for RangeRequest {
    type Answer = RangeResponse;
    const PATH: &'static str = "/etcdserverpb.KV/Range";
}

impl Method for TxnRequest {
    type Answer = TxnResponse;
    const PATH: &'static str = "/etcdserverpb.KV/Txn";
}

impl Answer for RangeResponse {
    fn cluster(&self) -> u64 {
        self.header.as_ref().map_or(0, |header| header.cluster_id)
    }
}

impl Answer for TxnResponse {
    fn cluster(&self) -> u64 {
        self.header.as_ref().map_or(0, |header| header.cluster_id)
    }
}

#[derive(Clone, PartialEq, Message)]
pub(super) struct ResponseHeader {
    #[prost(uint64, tag = "1")]
    pub(super) cluster_id: u64,
    #[prost(int64, tag = "3")]
    pub(super) revision: i64,
}

#[derive(Clone, PartialEq, Message)]
pub(super) struct KeyValue {
    #[prost(bytes = "vec", tag = "1")]
    pub(super) key: Vec<u8>,
    #[prost(int64, tag = "2")]
    pub(super) create_revision: i64,
    /// How often the key was written since it was created: 1 when it is new.
    #[prost(int64, tag = "4")]
    pub(super) version: i64,
    #[prost(bytes = "vec", tag = "5")]
    pub(super) value: Vec<u8>,
}

/// Linearizable, because the field `serializable` is left out: a member asks the others before it answers.
#[derive(Clone, PartialEq, Message)]
pub(super) struct RangeRequest {
    #[prost(bytes = "vec", tag = "1")]
    pub(super) key: Vec<u8>,
    #[prost(bytes = "vec", tag = "2")]
    pub(super) range_end: Vec<u8>,
    #[prost(int64, tag = "3")]
    pub(super) limit: i64,
    #[prost(int64, tag = "4")]
    pub(super) revision: i64,
    #[prost(bool, tag = "8")]
    pub(super) keys_only: bool,
}

#[derive(Clone, PartialEq, Message)]
pub(super) struct RangeResponse {
    #[prost(message, optional, tag = "1")]
    pub(super) header: Option<ResponseHeader>,
    #[prost(message, repeated, tag = "2")]
    pub(super) kvs: Vec<KeyValue>,
    #[prost(bool, tag = "3")]
    pub(super) more: bool,
}

#[derive(Clone, PartialEq, Message)]
pub(super) struct PutRequest {
    #[prost(bytes = "vec", tag = "1")]
    pub(super) key: Vec<u8>,
    #[prost(bytes = "vec", tag = "2")]
    pub(super) value: Vec<u8>,
}

#[derive(Clone, PartialEq, Message)]
pub(super) struct DeleteRangeRequest {
    #[prost(bytes = "vec", tag = "1")]
    pub(super) key: Vec<u8>,
    #[prost(bytes = "vec", tag = "2")]
    pub(super) range_end: Vec<u8>,
}

#[derive(Clone, PartialEq, Message)]
pub(super) struct RequestOp {
    #[prost(oneof = "Request", tags = "1, 2, 3")]
    pub(super) request: Option<Request>,
}

#[derive(Clone, PartialEq, Oneof)]
pub(super) enum Request {
    #[prost(message, tag = "1")]
    Range(RangeRequest),
    #[prost(message, tag = "2")]
    Put(PutRequest),
    #[prost(message, tag = "3")]
    Delete(DeleteRangeRequest),
}

#[derive(Clone, PartialEq, Message)]
pub(super) struct ResponseOp {
    #[prost(oneof = "Response", tags = "1")]
    pub(super) response: Option<Response>,
}

#[derive(Clone, PartialEq, Oneof)]
pub(super) enum Response {
    #[prost(message, tag = "1")]
    Range(RangeResponse),
}

#[derive(Clone, PartialEq, Message)]
pub(super) struct Compare {
    /// 0 equal, 1 greater.
    #[prost(int32, tag = "1")]
    pub(super) result: i32,
    /// 0 version, 1 create revision, 3 value.
    #[prost(int32, tag = "2")]
    pub(super) target: i32,
    #[prost(bytes = "vec", tag = "3")]
    pub(super) key: Vec<u8>,
    #[prost(oneof = "Target", tags = "4, 5, 7")]
    pub(super) with: Option<Target>,
}

#[derive(Clone, PartialEq, Oneof)]
pub(super) enum Target {
    #[prost(int64, tag = "4")]
    Version(i64),
    #[prost(int64, tag = "5")]
    Created(i64),
    #[prost(bytes, tag = "7")]
    Value(Vec<u8>),
}

/// Where all comparisons hold, `success` is done; otherwise `failure` is. Atomic for the whole cluster.
#[derive(Clone, PartialEq, Message)]
pub(super) struct TxnRequest {
    #[prost(message, repeated, tag = "1")]
    pub(super) compare: Vec<Compare>,
    #[prost(message, repeated, tag = "2")]
    pub(super) success: Vec<RequestOp>,
    #[prost(message, repeated, tag = "3")]
    pub(super) failure: Vec<RequestOp>,
}

#[derive(Clone, PartialEq, Message)]
pub(super) struct TxnResponse {
    #[prost(message, optional, tag = "1")]
    pub(super) header: Option<ResponseHeader>,
    #[prost(bool, tag = "2")]
    pub(super) succeeded: bool,
    #[prost(message, repeated, tag = "3")]
    pub(super) responses: Vec<ResponseOp>,
}

impl TxnResponse {
    /// The key that the operation at this index looked for, if it exists.
    pub(super) fn found(&mut self, place: usize) -> Option<KeyValue> {
        match self.responses.get_mut(place)?.response.take()? {
            Response::Range(range) => range.kvs.into_iter().next(),
        }
    }
}

impl Compare {
    /// The key was created at this revision; 0: it does not exist.
    pub(super) fn created(key: &str, at: i64) -> Self {
        Self { result: 0, target: 1, key: key.into(), with: Some(Target::Created(at)) }
    }

    /// The key exists.
    pub(super) fn exists(key: &str) -> Self {
        Self { result: 1, target: 1, key: key.into(), with: Some(Target::Created(0)) }
    }

    /// The key was written `is` times.
    pub(super) fn version(key: &str, is: i64) -> Self {
        Self { result: 0, target: 0, key: key.into(), with: Some(Target::Version(is)) }
    }

    /// The key's value is `is`.
    pub(super) fn value(key: &str, is: &str) -> Self {
        Self { result: 0, target: 3, key: key.into(), with: Some(Target::Value(is.into())) }
    }
}

impl RequestOp {
    pub(super) fn get(key: &str) -> Self {
        let range = RangeRequest { key: key.into(), ..RangeRequest::default() };
        Self { request: Some(Request::Range(range)) }
    }

    /// Whether a key exists and in which version, without its value.
    pub(super) fn find(key: &str) -> Self {
        let range = RangeRequest { key: key.into(), keys_only: true, ..RangeRequest::default() };
        Self { request: Some(Request::Range(range)) }
    }

    pub(super) fn put(key: &str, value: impl Into<Vec<u8>>) -> Self {
        Self { request: Some(Request::Put(PutRequest { key: key.into(), value: value.into() })) }
    }

    /// Deletes every key from `from` up to `end`, `end` excluded.
    pub(super) fn delete(from: &str, end: &str) -> Self {
        Self { request: Some(Request::Delete(DeleteRangeRequest { key: from.into(), range_end: end.into() })) }
    }
}
