//! An error and what caused it, in words.

use std::error::Error;

/// Maximum number of causes that are followed: an error may point at itself.
const MOST: usize = 16;

/// The error and what caused it, outermost first.
pub(crate) fn causes<'a>(error: &'a (dyn Error + 'static)) -> impl Iterator<Item = &'a (dyn Error + 'static)> {
    std::iter::successors(Some(error), |error| (*error).source()).take(MOST)
}

/// The error and its causes in one line, each once: wrappers often repeat what they wrap.
pub fn chain(error: &(dyn Error + 'static)) -> String {
    let mut text = String::new();
    for words in causes(error).map(ToString::to_string) {
        if text.is_empty() {
            text = words;
        } else if !text.contains(&words) {
            text = format!("{text}: {words}");
        }
    }
    text
}

#[cfg(test)]
mod tests {
    use std::io;

    use thiserror::Error;

    use super::*;

    #[derive(Debug, Error)]
    #[error("outer")]
    struct Outer(#[source] io::Error);

    /// Says what its cause says.
    #[derive(Debug, Error)]
    #[error("wrapped: outer")]
    struct Wrapper(#[source] Outer);

    #[test]
    fn causes_are_told_once() {
        let outer = || Outer(io::Error::other("inner"));
        assert_eq!(chain(&outer()), "outer: inner");
        assert_eq!(chain(&Wrapper(outer())), "wrapped: outer: inner");
        assert_eq!(causes(&Wrapper(outer())).count(), 3);
    }
}
