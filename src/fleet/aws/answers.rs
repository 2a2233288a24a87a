//! Refuses answers that were cut short. Main type: [`WholeAnswers`].
//!
//! The SDK's XML decoder takes the end of a body for the end of the document: a list that was cut between two items
//! would pass for a short list (S3).

use aws_smithy_runtime_api::box_error::BoxError;
use aws_smithy_runtime_api::client::interceptors::Intercept;
use aws_smithy_runtime_api::client::interceptors::context::AfterDeserializationInterceptorContextRef;
use aws_smithy_runtime_api::client::runtime_components::RuntimeComponents;
use aws_smithy_types::config_bag::ConfigBag;
use thiserror::Error;

/// Checks every successful answer.
#[derive(Debug)]
pub(super) struct WholeAnswers;

#[derive(Debug, Error)]
#[error("the answer was cut short")]
struct CutShort;

impl Intercept for WholeAnswers {
    fn name(&self) -> &'static str {
        "WholeAnswers"
    }

    fn read_after_deserialization(
        &self,
        context: &AfterDeserializationInterceptorContextRef<'_>,
        _: &RuntimeComponents,
        _: &mut ConfigBag,
    ) -> Result<(), BoxError> {
        let answer = context.response();
        // No operation used here streams, so the body is in memory by now.
        match answer.body().bytes() {
            Some(body) if !answer.status().is_success() || is_whole(body) => Ok(()),
            Some(_) | None => Err(CutShort.into()),
        }
    }
}

/// Whether an XML document ends with the end of its first element.
fn is_whole(document: &[u8]) -> bool {
    let text = String::from_utf8_lossy(document);
    let text = text.trim_end();
    let root = text
        .split('<')
        .skip(1)
        // Skips the declaration, and comments before the first element.
        .find(|tag| !tag.starts_with(['?', '!']))
        .and_then(|tag| tag.split_once('>'));
    let Some((root, _)) = root else { return false };
    let name = root.split([' ', '\t', '\r', '\n', '/']).next().unwrap_or_default();
    match root.strip_suffix('/') {
        Some(_) => text.ends_with("/>") && text.matches(&format!("<{name}")).count() == 1,
        None => !name.is_empty() && text.ends_with(&format!("</{name}>")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn s3_a_document_that_is_cut_anywhere_is_not_whole() {
        let whole =
            "<?xml version=\"1.0\"?>\n<!-- a --><List xmlns=\"x\"><item>1</item><List2/><item>2</item></List>\n";
        assert!(is_whole(whole.as_bytes()));
        for end in 0..whole.trim_end().len() {
            assert!(!is_whole(&whole.as_bytes()[..end]), "{:?}", &whole[..end]);
        }
    }

    #[test]
    fn an_element_that_closes_itself_is_whole() {
        assert!(is_whole(b"<Done/>") && is_whole(b"<Done xmlns='x' />"));
        assert!(!is_whole(b"") && !is_whole(b"OK") && !is_whole(b"<Done"));
    }
}
