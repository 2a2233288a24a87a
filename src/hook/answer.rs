//! [`answer_of`]: the one JSON document that a hook answers with.

use crate::model::HookAnswer;
use crate::probe::text;

/// The answer, with what it says for people on one line.
///
/// # Errors
///
/// The text is no such document, or more than one.
pub(super) fn answer_of(text: &[u8]) -> Result<HookAnswer, String> {
    let not_one =
        |error: serde_json::Error| format!("the answer is not one of a hook: {}", text::clean(&error.to_string()));
    let answer: HookAnswer = serde_json::from_slice(text).map_err(not_one)?;
    match answer {
        HookAnswer::Failed { .. } => Err("the answer is not one of a hook: \"failed\" is for the journal".to_owned()),
        HookAnswer::Allow {} | HookAnswer::Deny { .. } | HookAnswer::Wait { .. } | HookAnswer::Only { .. } => {
            Ok(answer.map_texts(said))
        }
    }
}

fn said(reason: &str) -> String {
    let reason = text::clean(reason);
    if reason.is_empty() { "it gives no reason".to_owned() } else { reason }
}
