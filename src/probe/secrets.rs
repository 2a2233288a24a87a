//! [`Secrets`]: the values of a request's headers, and messages without them.

use std::collections::BTreeSet;
use std::fmt;
use std::fs::{File, OpenOptions};
use std::io::Read as _;
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::Path;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;

use super::text;
use crate::model::chain;
use crate::policy::{AuthScheme, HeaderSource, Headers, Masked, ValueSource};

/// Of a value that the ledger has the digest of.
pub(super) const KNOWN_BY_DIGEST: &str = "the ledger keeps only its digest";

/// Servers take 8 KiB for all headers; a larger file is something else.
const LARGEST_FILE: u64 = 64 * 1024;

/// A part as short as this may be in any message, and tells nobody anything.
const SHORTEST_HIDDEN: usize = 4;

/// A part of a secret that is as long as this is likely all of it: a token behind a word, a session behind an equals sign.
const SHORTEST_PART: usize = 8;

/// The headers of one request, and all that no message about it may have.
#[derive(Clone)]
pub(super) struct Secrets {
    headers: Vec<(String, String)>,
    hidden: BTreeSet<String>,
}

impl fmt::Debug for Secrets {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_list().entries(self.headers.iter().map(|(name, _)| name)).finish()
    }
}

impl Secrets {
    /// Reads each header's value from where it is. What is secret of the address is hidden too.
    ///
    /// # Errors
    ///
    /// The header and where its value should be.
    pub(super) fn of(headers: &Headers, url: &Masked) -> Result<Self, String> {
        let mut secrets = Self { headers: Vec::new(), hidden: BTreeSet::new() };
        secrets.hide_address(url);
        for (name, source) in headers {
            let text = value_of(source).map_err(|why| format!("the header {name} has no value: {why}"))?;
            let value = match source.scheme {
                None => text.clone(),
                Some(AuthScheme::Bearer) => format!("Bearer {text}"),
                Some(AuthScheme::Basic) => format!("Basic {}", STANDARD.encode(&text)),
            };
            if ureq::http::HeaderValue::from_str(&value).is_err() {
                return Err(format!("the value of the header {name} has characters that a header may not have"));
            }
            secrets.hide_text(&text);
            secrets.hide_text(&value);
            secrets.headers.push((name.clone(), value));
        }
        Ok(secrets)
    }

    /// Names and values.
    pub(super) fn headers(&self) -> impl Iterator<Item = (&str, &str)> {
        self.headers.iter().map(|(name, value)| (name.as_str(), value.as_str()))
    }

    /// The text without anything of them: servers quote what they were sent. Before it is cut, or a part of one would stay.
    pub(super) fn hide(&self, text: &str) -> String {
        // The longest first: another may be a part of it.
        let mut hidden: Vec<&String> = self.hidden.iter().collect();
        hidden.sort_by_key(|part| std::cmp::Reverse(part.len()));
        hidden.into_iter().fold(text.to_owned(), |text, part| text.replace(part.as_str(), "(hidden)"))
    }

    /// What a server says, on one line, at most so long.
    pub(super) fn quoted(&self, text: &str, most: usize) -> String {
        text::cut(&text::clean(&self.hide(text)), most)
    }

    /// A text as it is, as it is quoted, and its parts that are likely secret by themselves.
    fn hide_text(&mut self, text: &str) {
        let debug = format!("{text:?}");
        let folded = text.split_whitespace().collect::<Vec<_>>().join(" ");
        let forms = [text, debug.trim_matches('"'), &folded].map(str::to_owned);
        let parts =
            text.split(|c: char| c.is_whitespace() || "=:;,&".contains(c)).filter(|part| part.len() >= SHORTEST_PART);
        let whole = forms.into_iter().filter(|form| form.len() >= SHORTEST_HIDDEN);
        self.hidden.extend(whole.chain(parts.map(str::to_owned)));
        // The password of `user:password`, however short.
        self.hidden
            .extend(text.split_once(':').map(|(_, after)| after.to_owned()).filter(|of| of.len() >= SHORTEST_HIDDEN));
    }

    fn hide_address(&mut self, url: &Masked) {
        let Some(uri) = url.text().and_then(|url| url.parse::<ureq::http::Uri>().ok()) else { return };
        if let Some((user, _)) = uri.authority().and_then(|authority| authority.as_str().rsplit_once('@')) {
            self.hide_text(user);
            self.hide_text(&STANDARD.encode(user));
        }
        if let Some(query) = uri.query() {
            self.hide_text(query);
            let values = query.split('&').filter_map(|pair| pair.split_once('=')).map(|(_, value)| value);
            self.hidden.extend(values.filter(|value| value.len() >= SHORTEST_HIDDEN).map(str::to_owned));
        }
    }
}

/// A file, and nothing that waits for somebody: a pipe, a terminal.
fn opened(path: &Path) -> std::io::Result<File> {
    let flags = i32::try_from(rustix::fs::OFlags::NONBLOCK.bits()).unwrap_or_default();
    let file = OpenOptions::new().read(true).custom_flags(flags).open(path)?;
    match file.metadata()?.is_file() {
        true => Ok(file),
        false => Err(std::io::Error::other("it is no file")),
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
            let read = opened(path.as_ref()).and_then(|file| file.take(LARGEST_FILE + 1).read_to_string(&mut text));
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

    fn header(from: ValueSource, scheme: Option<AuthScheme>) -> Headers {
        BTreeMap::from([("authorization".to_owned(), HeaderSource { from, scheme })])
    }

    fn nowhere() -> Masked {
        Masked::url("http://h/")
    }

    fn value(from: ValueSource, scheme: Option<AuthScheme>) -> Result<String, String> {
        Secrets::of(&header(from, scheme), &nowhere())
            .map(|secrets| secrets.headers().map(|(_, value)| value.to_owned()).collect())
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
        let secrets = Secrets::of(&header(source, Some(AuthScheme::Basic)), &nowhere()).expect("a header");
        for quoted in ["Basic QWxhZGRpbjpvcGVuIHNlc2FtZQ==", "Aladdin:open sesame", "password \"open sesame\""] {
            let shown = secrets.hide(&format!("refused: {quoted}"));
            assert!(!shown.contains("sesame") && !shown.contains("QWxh"), "{shown}");
        }
        assert!(!format!("{secrets:?}").contains("sesame"));
    }

    #[test]
    fn what_is_quoted_in_part_or_otherwise_is_hidden_too() {
        let of = |from: &str, scheme| {
            Secrets::of(&header(ValueSource::Value(Masked::secret(from)), scheme), &nowhere()).expect("a header")
        };
        let long = "S3cr3tTokenABCDEFGHIJ0123456789";
        let cut = of(long, Some(AuthScheme::Bearer)).quoted(&format!("{} {long}", "x".repeat(180)), 200);
        assert!(!cut.contains("S3cr3t"), "{cut}");
        for (value, quoted) in [
            ("Bearer S3cr3tToken", "no such token S3cr3tToken"),
            ("sid=S3cr3tSid123", "unknown S3cr3tSid123"),
            ("S3cr3t\"To\\ken", "invalid type: string \"S3cr3t\\\"To\\\\ken\""),
            ("me:S3cr3t two  blanks", "me:S3cr3t two blanks"),
        ] {
            let shown = of(value, None).quoted(quoted, 200);
            assert!(!shown.contains("S3cr3t"), "{value}: {shown}");
        }
        let url = Masked::url("http://me:S3cr3tPw@h/?token=S3cr3tQuery&a=b");
        let secrets = Secrets::of(&Headers::new(), &url).expect("no header");
        for quoted in ["S3cr3tPw", "S3cr3tQuery", &STANDARD.encode("me:S3cr3tPw")] {
            assert_eq!(secrets.quoted(quoted, 200), "(hidden)");
        }
    }

    #[test]
    fn a_value_is_not_waited_for() {
        let folder = tempfile::tempdir().expect("a folder");
        let pipe = folder.path().join("pipe");
        let made = std::process::Command::new("mkfifo").arg(&pipe).status().expect("mkfifo");
        assert!(made.success());
        let begun = std::time::Instant::now();
        for path in [pipe.to_string_lossy().into_owned(), "/dev/tty".to_owned(), "/dev/zero".to_owned(), "/".to_owned()]
        {
            assert!(value(ValueSource::File(path.clone()), None).is_err(), "{path}");
        }
        assert!(begun.elapsed() < std::time::Duration::from_secs(5));
    }

    #[test]
    fn s3_a_header_of_which_only_a_digest_is_known_is_not_sent() {
        let kept = serde_json::to_value(header(ValueSource::Value(Masked::secret("abcd")), None)).expect("JSON");
        let read: Headers = serde_json::from_value(kept).expect("JSON");
        assert!(Secrets::of(&read, &nowhere()).is_err());
    }
}
