//! [`Diagnostic`]: a failure, as it is reported to people and programs.

use std::path::Path;

use crate::ops::OperationError;
use crate::output::{ErrorDocument, Page, next};
use crate::policy::Look;

use super::exit::Exit;

/// A message for people about a failure. It goes to stderr in every mode.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Diagnostic {
    /// The action that failed, and its object.
    pub(crate) message: String,
    /// The causes, from the nearest to the root.
    pub(crate) causes: Vec<String>,
    /// The text of the answer has the causes too: a person does not read them twice.
    pub(crate) is_answered: bool,
    /// The hosts that somebody must look at, named here too where the answer goes elsewhere.
    pub(crate) in_doubt: Option<String>,
    /// Several lines that were laid out elsewhere. They are shown instead of the causes.
    pub(crate) details: Option<String>,
    /// What to do about it.
    pub(crate) hint: Option<String>,
}

impl Diagnostic {
    /// The diagnostic of an operation's error for this page, with each cause told once.
    pub(crate) fn of(error: &OperationError, page: Page) -> Self {
        let details = match error {
            OperationError::Policy(errors) => {
                Some(errors.render(Look { color: false, unicode: !page.ascii, width: page.width }))
            }
            _ => None,
        };
        Self {
            message: error.to_string(),
            causes: error.causes(),
            is_answered: false,
            in_doubt: None,
            details,
            hint: error.hint(),
        }
    }

    /// A diagnostic of one sentence.
    pub(crate) fn new(message: impl Into<String>) -> Self {
        Self {
            message: message.into(),
            causes: Vec::new(),
            is_answered: false,
            in_doubt: None,
            details: None,
            hint: None,
        }
    }

    /// Adds what to do about it.
    #[must_use]
    pub(crate) fn hint(mut self, hint: impl Into<String>) -> Self {
        self.hint = Some(hint.into());
        self
    }

    /// Its commands name the policy directory.
    #[must_use]
    pub(crate) fn placed(mut self, policies: &Path) -> Self {
        let each = self.causes.iter_mut().chain(&mut self.hint);
        each.for_each(|text| *text = next::placed(text, policies));
        self
    }

    /// The diagnostic as `safe-remove/error/v1`.
    pub(crate) fn document(&self, exit: Exit) -> ErrorDocument {
        ErrorDocument {
            schema: ErrorDocument::SCHEMA,
            exit_code: exit.code(),
            message: self.message.clone(),
            causes: self.causes.clone(),
            hint: self.hint.clone(),
        }
    }
}

#[cfg(test)]
mod tests {
    use std::io;

    use super::*;
    use crate::plan::AssessError;
    use crate::ports::{FleetError, LedgerError};

    fn page() -> Page {
        Page::new(None, false)
    }

    #[test]
    fn the_chain_is_told_once() {
        let source = io::Error::new(io::ErrorKind::StorageFull, "no space left");
        let error = OperationError::Ledger(LedgerError::Unreachable {
            place: "a.db".to_owned(),
            tried: "written",
            source: Box::new(source),
        });
        let diagnostic = Diagnostic::of(&error, page());
        assert_eq!(diagnostic.message, "the ledger cannot be used");
        assert_eq!(diagnostic.causes, ["the ledger a.db cannot be written", "no space left"]);
        assert_eq!(Exit::of(&error), Exit::LEDGER);
        assert_eq!(diagnostic.document(Exit::of(&error)).exit_code, 10);
    }

    #[test]
    fn every_error_says_what_to_do() {
        for error in [
            OperationError::Fleet(FleetError::WrongFleet("x".to_owned())),
            OperationError::Assess(AssessError::Weight { subsystem: "s".into(), hosts: Vec::new(), more: 1 }),
            OperationError::internal("x", "y"),
        ] {
            assert!(Diagnostic::of(&error, page()).hint.is_some(), "{error}");
        }
    }
}
