//! Breaking lines between words. A command that people copy is never broken.

use unicode_width::UnicodeWidthStr as _;

/// How a command begins, wherever this program names one for copying: behind a colon, up to the end of the line.
const COMMAND: &str = ": safe-remove ";

/// The paragraph with at most `width` columns a line. It starts in column `at`; its other lines are indented by `indent`.
/// Longer words, and a command at its end, are longer lines: a terminal breaks those, and a copy of them works.
pub(super) fn wrap(text: &str, width: usize, at: usize, indent: usize) -> String {
    if at + text.width() <= width && !text.ends_with(' ') {
        return text.trim_start().to_owned();
    }
    let (prose, command) = match text.find(COMMAND) {
        Some(colon) => (&text[..=colon], Some(text[colon + 2..].trim_end())),
        None => (text, None),
    };
    let mut out = String::new();
    let mut column = at;
    for word in prose.split([' ', '\n']).filter(|word| !word.is_empty()).chain(command) {
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
    fn lines_keep_their_indent() {
        assert_eq!(wrap_lines("a b\n  c d\n", 4), "a b\n  c\n  d\n");
        assert_eq!(wrap_lines("日本 日本", 6), "日本\n日本");
    }
}
