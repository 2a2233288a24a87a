//! Makes other people's text safe for a terminal: names, tags and messages of a provider may contain anything, escape
//! sequences included. Only texts of this program itself, such as its help, do not pass through here.

use std::borrow::Cow;
use std::fmt::Write as _;
use std::io;

use serde_json::ser::{CharEscape, CompactFormatter, Formatter, PrettyFormatter};

/// Whether this character could mislead a terminal or a reader: control characters (C0, DEL and C1), line separators,
/// characters without width, and overrides of text direction.
pub(crate) fn is_unsafe(c: char) -> bool {
    c.is_control()
        || matches!(c,
            '\u{ad}' | '\u{61c}' | '\u{180e}'
            | '\u{200b}'..='\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2060}'..='\u{206f}'
            | '\u{feff}' | '\u{fff9}'..='\u{fffb}' | '\u{e0000}'..='\u{e007f}')
}

/// One line of text, every unsafe character written out: `\u{1b}[2J`.
pub(crate) fn clean(text: &str) -> Cow<'_, str> {
    escape(text, is_unsafe)
}

/// As [`clean`], but keeps line ends: for text that this program laid out itself.
pub(crate) fn clean_lines(text: &str) -> Cow<'_, str> {
    escape(text, |c| c != '\n' && is_unsafe(c))
}

fn escape(text: &str, bad: impl Fn(char) -> bool) -> Cow<'_, str> {
    if !text.chars().any(&bad) {
        return Cow::Borrowed(text);
    }
    let mut out = String::with_capacity(text.len() + 16);
    for c in text.chars() {
        match c {
            '\n' if bad(c) => out.push_str("\\n"),
            '\t' => out.push_str("\\t"),
            '\r' => out.push_str("\\r"),
            c if bad(c) => _ = write!(out, "\\u{{{:x}}}", u32::from(c)),
            c => out.push(c),
        }
    }
    Cow::Owned(out)
}

/// Formats JSON that means the same and cannot control a terminal: characters that JSON itself leaves unescaped (DEL,
/// C1, direction overrides) are written as escapes, such as `\u0085`.
struct Safe<F>(F);

macro_rules! pass_on {
    ($($name:ident($($arg:ident: $ty:ty),*);)*) => {
        $(fn $name<W: ?Sized + io::Write>(&mut self, writer: &mut W $(, $arg: $ty)*) -> io::Result<()> {
            self.0.$name(writer $(, $arg)*)
        })*
    };
}

impl<F: Formatter> Formatter for Safe<F> {
    fn write_string_fragment<W: ?Sized + io::Write>(&mut self, writer: &mut W, fragment: &str) -> io::Result<()> {
        let mut rest = fragment;
        while let Some((at, c)) = rest.char_indices().find(|(_, c)| is_unsafe(*c)) {
            writer.write_all(&rest.as_bytes()[..at])?;
            for unit in c.encode_utf16(&mut [0; 2]) {
                write!(writer, "\\u{unit:04x}")?;
            }
            rest = &rest[at + c.len_utf8()..];
        }
        writer.write_all(rest.as_bytes())
    }

    pass_on! {
        begin_array();
        end_array();
        begin_array_value(first: bool);
        end_array_value();
        begin_object();
        end_object();
        begin_object_key(first: bool);
        end_object_key();
        begin_object_value();
        end_object_value();
        write_char_escape(char_escape: CharEscape);
    }
}

/// A document on several lines, for people who read JSON; ends with a line end.
///
/// # Errors
///
/// The value cannot be serialised: a bug.
pub(crate) fn json_document(value: &impl serde::Serialize) -> serde_json::Result<String> {
    json(value, Safe(PrettyFormatter::new()))
}

/// A document on one line, for ndjson; ends with a line end.
///
/// # Errors
///
/// The value cannot be serialised: a bug.
pub(crate) fn json_line(value: &impl serde::Serialize) -> serde_json::Result<String> {
    json(value, Safe(CompactFormatter))
}

fn json<F: Formatter>(value: &impl serde::Serialize, formatter: F) -> serde_json::Result<String> {
    let mut bytes = Vec::new();
    value.serialize(&mut serde_json::Serializer::with_formatter(&mut bytes, formatter))?;
    bytes.push(b'\n');
    Ok(String::from_utf8_lossy(&bytes).into_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Escape sequences of both kinds, a bell, DEL, a direction override, a joiner, a line separator.
    const HOSTILE: &str = "a\x1b[2Jb\u{9b}31mc\x07d\x7fe\u{202e}f\u{200d}g\u{2028}h\r\n\ti\u{e0041}";

    #[test]
    fn nothing_unsafe_reaches_a_terminal() {
        let shown = clean(HOSTILE);
        assert!(!shown.chars().any(is_unsafe), "{shown:?}");
        assert_eq!(shown, "a\\u{1b}[2Jb\\u{9b}31mc\\u{7}d\\u{7f}e\\u{202e}f\\u{200d}g\\u{2028}h\\r\\n\\ti\\u{e0041}");
        assert_eq!(clean_lines("a\nb\x1bc"), "a\nb\\u{1b}c");
    }

    #[test]
    fn plain_text_of_any_script_stays() {
        for text in ["index-0001", "Größe 5 µs → 4", "日本語", ""] {
            assert_eq!(clean(text), text);
        }
    }

    #[test]
    fn json_is_safe_and_means_the_same() {
        for render in [json_line, json_document] {
            let text = render(&HOSTILE).expect("serialises");
            assert!(!text.trim_end().chars().any(is_unsafe), "{text:?}");
            assert_eq!(serde_json::from_str::<String>(&text).expect("reads back"), HOSTILE);
        }
    }

    #[test]
    fn json_keeps_its_shape() {
        let value = serde_json::json!({"b": [1, 2.5, null, true], "a": {}});
        assert_eq!(json_line(&value).expect("serialises"), "{\"b\":[1,2.5,null,true],\"a\":{}}\n");
        assert_eq!(
            json_document(&value).expect("serialises"),
            format!("{}\n", serde_json::to_string_pretty(&value).expect("serialises"))
        );
    }
}
