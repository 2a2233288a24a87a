//! [`Secrets`]: the values of a request's headers, and messages without them.

use std::fmt;
use std::io::Read as _;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;

use crate::model::chain;
use crate::policy::{AuthScheme, HeaderSource, Headers, ValueSource};

/// Of a value that the ledger has the digest of.
pub(super) const KNOWN_BY_DIGEST: &str = "the ledger keeps only its digest";

/// Servers take 8 KiB for all headers; a larger file is something else.
const LARGEST_FILE: u64 = 64 * 1024;

/// A part as short as this may be in any message, and tells nobody anything.
const SHORTEST_HIDDEN: usize = 4;

/// The headers of one request. Nothing of them is shown.
pub(super) struct Secrets(Vec<(String, String, Vec<String>)>);

impl fmt::Debug for Secrets {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_list().entries(self.0.iter().map(|(name, _, _)| name)).finish()
    }
}

impl Secrets {
    /// Reads each header's value from where it is.
    ///
    /// # Errors
    ///
    /// The header and where its value should be.
    pub(super) fn of(headers: &Headers) -> Result<Self, String> {
        let of = |(name, source): (&String, &HeaderSource)| {
            let text = value_of(source).map_err(|why| format!("the header {name} has no value: {why}"))?;
            let (value, hidden) = match source.scheme {
                None => (text.clone(), vec![text]),
                Some(AuthScheme::Bearer) => (format!("Bearer {text}"), vec![text]),
                Some(AuthScheme::Basic) => {
                    let encoded = STANDARD.encode(&text);
                    let password = text.split_once(':').map(|(_, password)| password.to_owned());
                    (format!("Basic {encoded}"), [text, encoded].into_iter().chain(password).collect())
                }
            };
            if ureq::http::HeaderValue::from_str(&value).is_err() {
                return Err(format!("the value of the header {name} has characters that a header may not have"));
            }
            Ok((name.clone(), value, hidden))
        };
        headers.iter().map(of).collect::<Result<_, String>>().map(Self)
    }

    /// Names and values.
    pub(super) fn headers(&self) -> impl Iterator<Item = (&str, &str)> {
        self.0.iter().map(|(name, value, _)| (name.as_str(), value.as_str()))
    }

    /// The message without anything of their values: servers quote what they were sent.
    pub(super) fn hide(&self, message: &str) -> String {
        let mut hidden: Vec<&String> = self.0.iter().flat_map(|(_, _, hidden)| hidden).collect();
        // The longest first: another may be a part of it.
        hidden.sort_by_key(|part| std::cmp::Reverse(part.len()));
        hidden
            .into_iter()
            .filter(|part| part.len() >= SHORTEST_HIDDEN)
            .fold(message.to_owned(), |message, part| message.replace(part.as_str(), "(hidden)"))
    }
}

fn value_of(source: &HeaderSource) -> Result<String, String> {
    let text = match &source.from {
        ValueSource::Value(masked) => masked.text().ok_or_else(|| KNOWN_BY_DIGEST.to_owned())?.to_owned(),
        ValueSource::Env(variable) => match std::env::var(variable) {
            Ok(text) => text,
            Err(std::env::VarError::NotPresent) => return Err(format!("the variable {variable} is not set")),
            Err(std::env::VarError::NotUnicode(_)) => return Err(format!("the variable {variable} is not text")),
        },
        ValueSource::File(path) => {
            let mut text = String::new();
            let read = std::fs::File::open(path).and_then(|file| file.take(LARGEST_FILE + 1).read_to_string(&mut text));
            match read {
                Err(error) => return Err(format!("the file {path} cannot be read: {}", chain(&error))),
                Ok(_) if text.len() as u64 > LARGEST_FILE => {
                    return Err(format!("the file {path} is larger than {LARGEST_FILE} bytes"));
                }
                Ok(_) => text,
            }
        }
    };
    // Editors and `echo` end a file with a line break.
    let text = text.trim_end_matches(['\r', '\n']).to_owned();
    if text.is_empty() { Err("it is empty".to_owned()) } else { Ok(text) }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use super::*;
    use crate::policy::Masked;

    fn header(from: ValueSource, scheme: Option<AuthScheme>) -> Headers {
        BTreeMap::from([("authorization".to_owned(), HeaderSource { from, scheme })])
    }

    fn value(from: ValueSource, scheme: Option<AuthScheme>) -> Result<String, String> {
        Secrets::of(&header(from, scheme)).map(|secrets| secrets.headers().map(|(_, value)| value.to_owned()).collect())
    }

    #[test]
    fn a_value_comes_from_where_it_is() {
        let folder = tempfile::tempdir().expect("a folder");
        let path = folder.path().join("token");
        let file = || ValueSource::File(path.to_string_lossy().into_owned());
        assert!(value(file(), None).is_err_and(|why| why.contains("cannot be read: ")));
        std::fs::write(&path, "abcd\r\n").expect("written");
        assert_eq!(value(file(), None), Ok("abcd".to_owned()));
        assert_eq!(value(file(), Some(AuthScheme::Bearer)), Ok("Bearer abcd".to_owned()));
        std::fs::write(&path, "Aladdin:open sesame\n").expect("written");
        // RFC 7617, section 2.
        assert_eq!(value(file(), Some(AuthScheme::Basic)), Ok("Basic QWxhZGRpbjpvcGVuIHNlc2FtZQ==".to_owned()));
        for (text, why) in [("\n", "it is empty"), ("a\nb", "characters"), (&"x".repeat(70_000), "larger than 65536")] {
            std::fs::write(&path, text).expect("written");
            assert!(value(file(), None).is_err_and(|said| said.contains(why)), "{text:?}");
        }
        let variable = |name: &str| value(ValueSource::Env(name.to_owned()), None);
        assert!(variable("PATH").is_ok());
        let unset = variable("SAFE_REMOVE_NOBODY_SETS_THIS");
        let why = "the header authorization has no value: the variable SAFE_REMOVE_NOBODY_SETS_THIS is not set";
        assert_eq!(unset, Err(why.to_owned()));
    }

    #[test]
    fn what_a_server_quotes_of_them_is_hidden() {
        let source = ValueSource::Value(Masked::secret("Aladdin:open sesame"));
        let secrets = Secrets::of(&header(source, Some(AuthScheme::Basic))).expect("a header");
        for quoted in ["Basic QWxhZGRpbjpvcGVuIHNlc2FtZQ==", "Aladdin:open sesame", "password \"open sesame\""] {
            let shown = secrets.hide(&format!("refused: {quoted}"));
            assert!(!shown.contains("sesame") && !shown.contains("QWxh"), "{shown}");
        }
        assert!(!format!("{secrets:?}").contains("sesame"));
    }

    #[test]
    fn s3_a_header_of_which_only_a_digest_is_known_is_not_sent() {
        let kept = serde_json::to_value(header(ValueSource::Value(Masked::secret("abcd")), None)).expect("JSON");
        let read: Headers = serde_json::from_value(kept).expect("JSON");
        assert!(Secrets::of(&read).is_err());
    }
}
