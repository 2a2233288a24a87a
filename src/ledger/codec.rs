//! Encodes records and journal records as text and decodes them, strictly: nothing is misread, and a rewrite loses
//! nothing.
//!
//! Two rules go beyond serde's: a schema that this version does not know is refused as newer, and so is a field that
//! this version would drop when it writes the record again.

use serde::Serialize;
use serde::de::DeserializeOwned;
use serde_json::Value;
use thiserror::Error;

use crate::coordination::{FleetRecord, RECORD_SCHEMA};
use crate::ports::LedgerError;
use crate::run::{self, EVENT_SCHEMA, JournalRecord};

/// Why a text cannot be decoded.
#[derive(Debug, Error)]
pub(crate) enum CodecError {
    /// A newer version of this tool wrote it.
    #[error("it is of schema {found}; this version reads {known}")]
    Newer { found: String, known: String },
    /// The schema is of another family, or its number is not a newer one.
    #[error("it is of schema {found}, not {known}")]
    Foreign { found: String, known: String },
    /// Not JSON, or JSON of another shape.
    #[error("it cannot be read back")]
    Unreadable(#[source] serde_json::Error),
}

impl CodecError {
    /// The port's error for a ledger at `place`.
    pub(crate) fn at(self, place: &str) -> LedgerError {
        match self {
            Self::Newer { found, known } => LedgerError::Newer { place: place.to_owned(), found, known },
            other @ (Self::Foreign { .. } | Self::Unreadable(_)) => {
                LedgerError::Corrupt { place: place.to_owned(), source: Box::new(other) }
            }
        }
    }
}

pub(crate) fn encode_record(record: &FleetRecord) -> Result<String, CodecError> {
    encode(record, RECORD_SCHEMA)
}

pub(crate) fn decode_record(text: &str) -> Result<FleetRecord, CodecError> {
    decode(text, RECORD_SCHEMA)
}

pub(crate) fn encode_event(record: &JournalRecord) -> Result<String, CodecError> {
    encode(record, EVENT_SCHEMA)
}

pub(crate) fn decode_event(text: &str) -> Result<JournalRecord, CodecError> {
    decode(text, EVENT_SCHEMA)
}

/// Whether a journal's first record is one that replaced a pruned journal. Nothing is appended to such a journal.
pub(crate) fn is_pruned(text: &str) -> Result<bool, CodecError> {
    decode_event(text).map(|record| run::is_pruned(&[record]))
}

/// Encodes a value, and decodes it again before it is written: a number that JSON cannot hold (NaN) would otherwise
/// make the ledger unreadable for everybody.
fn encode<T: Serialize + DeserializeOwned>(what: &T, known: &str) -> Result<String, CodecError> {
    let text = serde_json::to_string(what).map_err(CodecError::Unreadable)?;
    decode::<T>(&text, known)?;
    Ok(text)
}

fn decode<T: Serialize + DeserializeOwned>(text: &str, known: &str) -> Result<T, CodecError> {
    let written: Value = serde_json::from_str(text).map_err(CodecError::Unreadable)?;
    let found = written.get("schema").and_then(Value::as_str).unwrap_or("none");
    if found != known {
        let (found, known) = (found.to_owned(), known.to_owned());
        return Err(match (version(&found), version(&known)) {
            (Some((theirs, number)), Some((ours, newest))) if theirs == ours && number > newest => {
                CodecError::Newer { found, known }
            }
            _ => CodecError::Foreign { found, known },
        });
    }
    let what: T = serde_json::from_str(text).map_err(CodecError::Unreadable)?;
    let again = serde_json::to_value(&what).map_err(CodecError::Unreadable)?;
    match dropped(&written, &again) {
        None => Ok(what),
        Some(field) => {
            Err(CodecError::Newer { found: format!("{known} with a field {field}"), known: known.to_owned() })
        }
    }
}

/// Splits a schema into its family and number: `safe-remove/ledger/v1` is `safe-remove/ledger` and 1.
fn version(schema: &str) -> Option<(&str, u64)> {
    let (family, number) = schema.rsplit_once("/v")?;
    Some((family, number.parse().ok()?))
}

/// The first field of `written` that `again` lacks.
fn dropped(written: &Value, again: &Value) -> Option<String> {
    match (written, again) {
        (Value::Object(before), Value::Object(after)) => before.iter().find_map(|(key, value)| match after.get(key) {
            Some(kept) => dropped(value, kept).map(|field| format!("{key}.{field}")),
            None if value.is_null() => None,
            None => Some(key.clone()),
        }),
        (Value::Array(before), Value::Array(after)) => {
            before.iter().zip(after).find_map(|(value, kept)| dropped(value, kept).map(|field| format!("[].{field}")))
        }
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::Time;

    fn record() -> FleetRecord {
        FleetRecord::new("ledger-1".into(), "demo".into(), Time::from_millis(0))
    }

    fn altered(alter: impl FnOnce(&mut serde_json::Map<String, Value>)) -> Result<FleetRecord, CodecError> {
        let mut value = serde_json::to_value(record()).expect("serializes");
        alter(value.as_object_mut().expect("an object"));
        decode_record(&value.to_string())
    }

    #[test]
    fn a_record_reads_back_as_it_was_written() {
        let text = encode_record(&record()).expect("encodes");
        assert_eq!(decode_record(&text).expect("decodes"), record());
    }

    #[test]
    fn s3_a_newer_schema_and_a_field_that_would_be_dropped_are_newer() {
        let newer = altered(|r| drop(r.insert("schema".into(), "safe-remove/ledger/v6".into())));
        assert!(matches!(newer, Err(CodecError::Newer { .. })), "{newer:?}");
        let field = altered(|r| drop(r.insert("quorum".into(), 3.into())));
        assert!(
            matches!(&field, Err(CodecError::Newer { found, .. }) if found.contains("quorum")),
            "a rewrite would lose it: {field:?}"
        );
    }

    #[test]
    fn s3_another_schema_a_missing_field_and_no_json_are_corrupt() {
        let foreign = altered(|r| drop(r.insert("schema".into(), "terraform/v1".into())));
        assert!(matches!(foreign, Err(CodecError::Foreign { .. })), "{foreign:?}");
        let missing = altered(|r| drop(r.remove("removals")));
        assert!(matches!(missing, Err(CodecError::Unreadable(_))), "nothing is defaulted: {missing:?}");
        assert!(matches!(decode_record("{\"schema\":"), Err(CodecError::Unreadable(_))));
    }

    #[test]
    fn s3_a_number_that_would_not_read_back_is_not_written() {
        let mut record = record();
        let probe = crate::model::ProbeKey { subsystem: "index".into(), probe: "errors".into() };
        let reference = [(probe, vec![f64::NAN.into()])].into();
        record.runs.insert(
            "r1".into(),
            crate::coordination::RunEntry { reference, ..crate::coordination::RunEntry::in_line() },
        );
        assert!(matches!(encode_record(&record), Err(CodecError::Unreadable(_))));
    }
}
