//! Small pieces of text that several screens share.

use std::time::Duration;

use crate::model::{HostId, duration_text};

use super::{WIDTH, clean};

/// Host ids as a list for people: all of them up to `most`, otherwise the first ones and how many more there are.
pub(crate) fn hosts_text<'a>(hosts: impl IntoIterator<Item = &'a HostId>, most: usize) -> String {
    let hosts: Vec<_> = hosts.into_iter().collect();
    let shown = if hosts.len() > most { most.saturating_sub(1) } else { hosts.len() };
    let mut text = hosts[..shown].iter().map(|h| clean(h.as_str())).collect::<Vec<_>>().join(" ");
    if shown < hosts.len() {
        text.push_str(&format!(" and {} more", hosts.len() - shown));
    }
    text
}

/// A duration for people, in whole seconds, so that a countdown does not flicker.
pub(crate) fn span_text(of: Duration) -> String {
    duration_text(Duration::from_secs(of.as_millis().div_ceil(1000).try_into().unwrap_or(u64::MAX)))
}

/// A paragraph of at most [`WIDTH`] columns that starts in column `indent`; its other lines are indented to that
/// column.
pub(crate) fn wrap(text: &str, indent: usize) -> String {
    let mut out = String::new();
    let mut column = indent;
    for word in text.split_whitespace() {
        let width = word.chars().count();
        if column > indent && column + 1 + width > WIDTH {
            out.push('\n');
            out.extend(std::iter::repeat_n(' ', indent));
            column = indent;
        } else if column > indent {
            out.push(' ');
            column += 1;
        }
        out.push_str(word);
        column += width;
    }
    out
}

/// `name` and its value, cleaned and wrapped beside the name; ends with a line end.
pub(crate) fn field(name: &str, value: &str) -> String {
    format!("{name:<FIELD$}{}\n", wrap(&clean(value), FIELD))
}

/// The column in which the values of [`field`]s begin.
pub(crate) const FIELD: usize = 12;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn many_hosts_are_counted() {
        let hosts: Vec<HostId> = (1..=5).map(|n| HostId::new(format!("h{n}"))).collect();
        assert_eq!(hosts_text(&hosts, 5), "h1 h2 h3 h4 h5");
        assert_eq!(hosts_text(&hosts, 3), "h1 h2 and 3 more");
    }

    #[test]
    fn spans_count_down_in_whole_seconds() {
        assert_eq!(span_text(Duration::from_millis(89_001)), "1m 30s");
        assert_eq!(span_text(Duration::ZERO), "0s");
    }

    #[test]
    fn paragraphs_fit() {
        let text = wrap(&"word ".repeat(60), 4);
        assert!(text.lines().all(|line| line.chars().count() <= WIDTH), "{text}");
        assert_eq!(text.split_whitespace().count(), 60);
    }
}
