//! The pages for stdout and stderr: how wide they are, and what they can show.

use std::os::fd::AsFd;

use rustix::termios::{isatty, tcgetwinsize};

use crate::output::Page;

/// The page for answers.
pub(super) fn stdout() -> Page {
    of(&std::io::stdout())
}

/// The page for questions, progress and complaints.
pub(super) fn stderr() -> Page {
    of(&std::io::stderr())
}

fn of(output: &impl AsFd) -> Page {
    let columns = if isatty(output) { tcgetwinsize(output).ok().map(|size| usize::from(size.ws_col)) } else { None };
    // A terminal that does not know its size says 0.
    Page::new(columns.filter(|columns| *columns > 0), !is_utf8(|name| std::env::var(name).ok()))
}

/// Whether the locale shows UTF-8 (POSIX: the first of these that is set and not empty).
fn is_utf8(variable: impl Fn(&str) -> Option<String>) -> bool {
    let set = ["LC_ALL", "LC_CTYPE", "LANG"].into_iter().find_map(|name| variable(name).filter(|v| !v.is_empty()));
    set.is_some_and(|locale| locale.to_ascii_lowercase().replace('-', "").contains("utf8"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_first_variable_that_is_set_is_the_locale() {
        let locale = |all: &str, ctype: &str, lang: &str| {
            let of = [("LC_ALL", all), ("LC_CTYPE", ctype), ("LANG", lang)].map(|(k, v)| (k.to_owned(), v.to_owned()));
            is_utf8(|name| of.iter().find(|(key, _)| key == name).map(|(_, value)| value.clone()))
        };
        assert!(locale("", "", "en_GB.UTF-8") && locale("", "de_DE.utf8", "C") && locale("C.UTF-8", "C", "C"));
        assert!(!locale("C", "", "en_GB.UTF-8") && !locale("", "", "") && !locale("", "", "de_DE.ISO-8859-1"));
    }
}
