//! [`hidden`]: the text of a policy file as it may be drawn beside an error, without what must not be seen: values of
//! headers, userinfo and query of addresses.
//!
//! It works on text that may be no TOML, so it hides more rather than less. Every place stays where it is.

/// Keys of a header's table whose values say where the secret is, and are none.
const PLACES: [&str; 3] = ["file", "env", "scheme"];

/// The same text, as long in bytes, with stars in place of secrets.
pub(super) fn hidden(text: &str) -> String {
    let mut bytes = text.as_bytes().to_vec();
    addresses(text, &mut bytes);
    headers(text, &mut bytes);
    // Whole characters are replaced, each byte of them by a star.
    String::from_utf8_lossy(&bytes).into_owned()
}

fn star(bytes: &mut [u8], from: usize, to: usize) {
    if let Some(part) = bytes.get_mut(from..to) {
        part.fill(b'*');
    }
}

/// `http://user:password@host/path?query` to `http://*************@host/path?*****`.
fn addresses(text: &str, bytes: &mut [u8]) {
    for (at, mark) in text.match_indices("://") {
        let begin = at + mark.len();
        let rest = &text[begin..];
        let address = &rest[..rest.find(['"', '\'', '\n']).unwrap_or(rest.len())];
        if let Some(user) = address.rfind('@') {
            star(bytes, begin, begin + user);
        }
        if let Some(query) = address.find('?') {
            star(bytes, begin + query + 1, begin + address.len());
        }
    }
}

/// Strings behind an equals sign where headers are written.
fn headers(text: &str, bytes: &mut [u8]) {
    let (mut is_section, mut depth, mut begin) = (false, 0_i32, 0);
    for line in text.split_inclusive('\n') {
        let key = line.split('=').next().unwrap_or_default();
        if line.trim_start().starts_with('[') {
            is_section = line.contains("headers");
        }
        if is_section || depth > 0 || key.contains("headers") {
            values(line, begin, bytes);
            let count = |of: char| i32::try_from(line.matches(of).count()).unwrap_or(i32::MAX);
            depth = depth.saturating_add(count('{')).saturating_sub(count('}')).max(0);
        }
        begin += line.len();
    }
}

/// Every quoted string of the line whose key is no place; one that does not end, to the end of the line.
fn values(line: &str, begin: usize, bytes: &mut [u8]) {
    let is_whole = ["\"", "'"].iter().all(|quote| line.matches(quote).count().is_multiple_of(2));
    let mut at = 0;
    while let Some(found) = line[at..].find(['"', '\'']) {
        let open = at + found;
        let quote = &line[open..=open];
        let before = line[..open].trim_end();
        let inner = open + 1;
        let mut close = line.len();
        for (place, _) in line[inner..].match_indices(quote) {
            if !line[inner..inner + place].ends_with('\\') || quote == "'" {
                close = inner + place;
                break;
            }
        }
        let key = before.strip_suffix('=').map(|key| key.trim_end());
        let is_place = key.is_some_and(|key| PLACES.iter().any(|place| key.ends_with(place)));
        if key.is_some() && !is_place {
            // Where a quote is missing nobody knows which text is the value.
            let end = if is_whole { close } else { line.len() };
            star(bytes, begin + inner, begin + end.min(line.trim_end_matches('\n').len().max(inner)));
        }
        at = (close + 1).min(line.len());
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn secrets_are_stars_and_everything_else_stays() {
        for (text, shown) in [
            ("url = \"http://me:S3cr3t@h/a?key=S3cr3t\"", "url = \"http://*********@h/a?**********\""),
            ("url = \"http://me:S3 cr3t@h/a\"", "url = \"http://**********@h/a\""),
            (
                "headers = { Authorization = \"S3cr3t\", \"a b\" = 'S3cr3t' }",
                "headers = { Authorization = \"******\", \"a b\" = '******' }",
            ),
            (
                "headers = { A = { file = \"token\" }, B = { fle = \"S3cr3t\" } }",
                "headers = { A = { file = \"token\" }, B = { fle = \"******\" } }",
            ),
            ("headers = \"S3cr3t\"", "headers = \"******\""),
            ("headers = { A = \"S3cr3t }\nname = \"a\"", "headers = { A = \"********\nname = \"a\""),
            ("headers = { A = \"S3cr3t, B = \"S3cr3t\" }", "headers = { A = \"**********************"),
            (
                "[health.probe.headers]\nA = \"S3cr3t\"\n[confirm]\nb = \"c\"",
                "[health.probe.headers]\nA = \"******\"\n[confirm]\nb = \"c\"",
            ),
            // One too many is hidden rather than one too few.
            ("headers.A = \"S3\\\"cr3t\"", "headers.A = \"*********"),
            ("headers = {\n  A = \"S3cr3t\",\n}\nname = \"a\"", "headers = {\n  A = \"******\",\n}\nname = \"a\""),
            ("name = \"index\"\nmax = 1", "name = \"index\"\nmax = 1"),
        ] {
            assert_eq!(hidden(text), shown);
        }
    }

    proptest! {
        #[test]
        fn every_place_stays(text in "(headers|url|[a-zé=\"'{}\\[\\]@?:/ \n]){0,60}") {
            prop_assert_eq!(hidden(&text).len(), text.len());
        }
    }
}
