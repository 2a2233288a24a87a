//! Messages of bad samples: bounded, on one line, and without characters that could control a terminal.
//!
//! They quote servers and programs, which an operator's terminal must not trust.

use std::time::Duration;

use crate::model::duration_text;

/// The most characters of a message; a longer cause belongs in the server's own log.
const LONGEST_MESSAGE: usize = 300;

/// One line without control and formatting characters, cut to [`LONGEST_MESSAGE`] characters.
pub(crate) fn clean(text: &str) -> String {
    let mut clean = String::new();
    for word in text.split(|c: char| c.is_whitespace() || c.is_control() || is_formatting(c)) {
        if word.is_empty() {
            continue;
        }
        if !clean.is_empty() {
            clean.push(' ');
        }
        clean.push_str(word);
    }
    cut(&clean, LONGEST_MESSAGE)
}

/// The text, or its beginning and an ellipsis: at most `most` characters.
pub(crate) fn cut(text: &str, most: usize) -> String {
    match text.char_indices().nth(most) {
        None => text.to_owned(),
        Some(_) => text.chars().take(most.saturating_sub(1)).chain(['…']).collect(),
    }
}

/// Whether a character is invisible and reorders or hides others: bidirectional controls, zero widths, byte order
/// marks.
fn is_formatting(c: char) -> bool {
    matches!(c, '\u{ad}' | '\u{61c}' | '\u{200b}'..='\u{200f}' | '\u{202a}'..='\u{202e}'
        | '\u{2060}'..='\u{206f}' | '\u{feff}' | '\u{fff9}'..='\u{fffb}' | '\u{e0000}'..='\u{e007f}')
}

/// `GET http://…: no answer within 5s`
pub(crate) fn timed_out(tried: &str, after: Duration) -> String {
    format!("{tried}: no answer within {}", duration_text(after))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn messages_are_one_bounded_line_that_drives_no_terminal() {
        assert_eq!(clean("a\u{1b}[31mred\r\nb\t\u{202e}c\u{9b}d\u{7f}"), "a [31mred b c d");
        assert_eq!(clean("\u{feff}  \n"), "");
        let long = clean(&"é".repeat(1_000));
        assert_eq!(long.chars().count(), LONGEST_MESSAGE);
        assert!(long.ends_with('…'));
        assert_eq!(clean(&"é".repeat(LONGEST_MESSAGE)), "é".repeat(LONGEST_MESSAGE));
    }
}
