//! Breaking lines between words. A command that people copy is never broken.

use unicode_width::UnicodeWidthStr as _;

use crate::policy::BEHIND_A_COLON;

/// The paragraph with at most `width` columns a line. It starts in column `at`; its other lines are indented by `indent`.
/// Longer words, and a command at its end, are longer lines: a terminal breaks those, and a copy of them works.
pub(super) fn wrap(text: &str, width: usize, at: usize, indent: usize) -> String {
    if at + text.width() <= width && !text.ends_with(' ') {
        return text.trim_start().to_owned();
    }
    let (prose, command) = match text.find(BEHIND_A_COLON) {
        Some(colon) => (&text[..=colon], Some(text[colon + 2..].trim_end())),
        None => (text, None),
    };
    let mut out = String::new();
    let mut column = at;
    for word in words(prose).iter().map(String::as_str).chain(command) {
        let length = word.width();
        let is_first = out.is_empty() || out.ends_with(' ');
        if !is_first && column + 1 + length > width {
            out.push('\n');
            out.extend(std::iter::repeat_n(' ', indent));
            column = indent;
        } else if !is_first {
            out.push(' ');
            column += 1;
        }
        out.push_str(word);
        column += length;
    }
    out
}

/// The words between which a line may break. What stands in backticks is one: people copy it.
fn words(prose: &str) -> Vec<String> {
    let parts = || prose.split([' ', '\n']).filter(|part| !part.is_empty());
    let mut words: Vec<String> = Vec::new();
    let mut is_open = false;
    for part in parts() {
        match words.last_mut().filter(|_| is_open) {
            Some(word) => word.extend([" ", part]),
            None => words.push(part.to_owned()),
        }
        is_open ^= part.matches('`').count() % 2 == 1;
    }
    // Somebody else's text may have one that nothing closes.
    if is_open { parts().map(str::to_owned).collect() } else { words }
}

/// Text of several lines, each wrapped by itself: what follows is indented as its line is.
pub(crate) fn wrap_lines(text: &str, width: usize) -> String {
    let wrapped = |line: &str| {
        let indent = line.len() - line.trim_start_matches(' ').len();
        format!("{}{}", &line[..indent], wrap(line, width, indent, indent))
    };
    let mut out = text.lines().map(wrapped).collect::<Vec<_>>().join("\n");
    if text.ends_with('\n') {
        out.push('\n');
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn paragraphs_fit() {
        let text = wrap(&"word ".repeat(60), 40, 4, 4);
        assert!(text.lines().all(|line| line.len() <= 40), "{text}");
        assert_eq!(text.split_whitespace().count(), 60);
        assert!(text.lines().skip(1).all(|line| line.starts_with("    word")), "{text}");
    }

    #[test]
    fn what_people_copy_stays_whole() {
        let command =
            "safe-remove --subsystem index --count 3 --reason 'rack 7 is replaced' --policies /etc/safe-remove";
        let text = wrap(&format!("to make the plan again: {command}"), 40, 6, 6);
        assert_eq!(text, format!("to make the plan again:\n      {command}"));
    }

    #[test]
    fn what_stands_in_backticks_stays_whole() {
        let text = wrap("there is no such table: `safe-remove ledger init` makes it, and `status` shows it", 30, 0, 2);
        assert_eq!(text, "there is no such table:\n  `safe-remove ledger init`\n  makes it, and `status` shows\n  it");
        let odd = wrap("a ` that nobody closes is no reason for a long line", 20, 0, 0);
        assert!(odd.lines().all(|line| line.len() <= 20), "{odd}");
    }

    #[test]
    fn lines_keep_their_indent() {
        assert_eq!(wrap_lines("a b\n  c d\n", 4), "a b\n  c\n  d\n");
        assert_eq!(wrap_lines("日本 日本", 6), "日本\n日本");
    }
}
