//! [`Masked`]: a text of which a part must not be seen: the password in a URL, the value of a header.
//!
//! Whatever is printed or kept shows the rest of it, and the ledger a digest by which two can be compared. Only
//! [`Masked::text`] gives the whole, and only to who read it from the policy file.

use std::fmt;

use serde::{Deserialize, Deserializer, Serialize, Serializer};
use sha2::{Digest as _, Sha256};

/// Stands where nothing of a text may be seen.
const HIDDEN: &str = "(hidden)";

/// A text with a part that is not shown. Two are equal if their texts are.
#[derive(Clone)]
pub(crate) struct Masked {
    shown: String,
    /// Of the whole text, if not all of it is shown.
    digest: Option<String>,
    /// `None`: it was read from the ledger, which has the digest only.
    text: Option<String>,
}

/// As it is kept.
#[derive(Serialize, Deserialize)]
#[serde(untagged)]
enum Kept {
    Open(String),
    Masked { shown: String, sha256: String },
}

impl Masked {
    /// A text of which nothing is shown.
    pub(crate) fn secret(text: &str) -> Self {
        Self::with(text, HIDDEN.to_owned())
    }

    /// The address of a server: neither its userinfo nor its query is shown.
    pub(crate) fn url(text: &str) -> Self {
        let Ok(uri) = text.parse::<ureq::http::Uri>() else { return Self::secret(text) };
        let (Some(scheme), Some(authority)) = (uri.scheme_str(), uri.authority()) else { return Self::secret(text) };
        let (place, has_user) = match authority.as_str().rsplit_once('@') {
            Some((_, place)) => (place, true),
            None => (authority.as_str(), false),
        };
        if !has_user && uri.query().is_none() {
            return Self { shown: text.to_owned(), digest: None, text: Some(text.to_owned()) };
        }
        let user = if has_user { "…@" } else { "" };
        let query = if uri.query().is_some() { "?…" } else { "" };
        Self::with(text, format!("{scheme}://{user}{place}{}{query}", uri.path()))
    }

    fn with(text: &str, shown: String) -> Self {
        let digest = Sha256::digest(text).iter().map(|byte| format!("{byte:02x}")).collect();
        Self { shown, digest: Some(digest), text: Some(text.to_owned()) }
    }

    /// The whole text; `None` if it was read from the ledger.
    pub(crate) fn text(&self) -> Option<&str> {
        self.text.as_deref()
    }
}

/// What may be seen of it.
impl fmt::Display for Masked {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.shown)
    }
}

impl fmt::Debug for Masked {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Debug::fmt(&self.shown, f)
    }
}

impl PartialEq for Masked {
    fn eq(&self, other: &Self) -> bool {
        (&self.shown, &self.digest) == (&other.shown, &other.digest)
    }
}

impl Eq for Masked {}

impl Serialize for Masked {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let shown = self.shown.clone();
        match self.digest.clone() {
            None => Kept::Open(shown),
            Some(sha256) => Kept::Masked { shown, sha256 },
        }
        .serialize(serializer)
    }
}

impl<'de> Deserialize<'de> for Masked {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        Ok(match Kept::deserialize(deserializer)? {
            // Ledgers of earlier versions have whole addresses.
            Kept::Open(text) => Self::url(&text),
            Kept::Masked { shown, sha256 } => Self { shown, digest: Some(sha256), text: None },
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn neither_password_nor_query_of_an_address_is_shown_or_kept() {
        for (text, shown) in [
            ("http://index.internal/health", "http://index.internal/health"),
            ("https://me:hunter2@index.internal:8443/health?token=hunter2", "https://…@index.internal:8443/health?…"),
            ("http://index.internal/?hunter2", "http://index.internal/?…"),
            ("http://me:hunter2@[::1]:80", "http://…@[::1]:80/"),
            ("hunter2", "(hidden)"),
        ] {
            let masked = Masked::url(text);
            assert_eq!(masked.to_string(), shown);
            assert_eq!(masked.text(), Some(text));
            let kept = serde_json::to_string(&masked).expect("JSON");
            for said in [&kept, &format!("{masked:?}"), &masked.to_string()] {
                assert!(!said.contains("hunter2"), "{said}");
            }
            let back: Masked = serde_json::from_str(&kept).expect("JSON");
            assert_eq!(back, masked, "{kept}");
            assert_eq!(back.text().is_some(), text == shown, "{kept}");
        }
        assert_ne!(Masked::url("http://h/?a"), Masked::url("http://h/?b"), "what is hidden counts");
        assert_ne!(Masked::secret("a"), Masked::secret("b"));
    }

    #[test]
    fn a_whole_address_of_an_earlier_ledger_is_read() {
        let old: Masked = serde_json::from_str("\"http://me:hunter2@h/\"").expect("JSON");
        assert_eq!(old, Masked::url("http://me:hunter2@h/"));
    }
}
