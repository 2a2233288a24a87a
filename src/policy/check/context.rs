//! [`Context`]: what the rules of one file report to, and the checks that all of them share.

use std::ops::Range;

use crate::policy::problem::Reporter;
use crate::policy::read::Damaged;
use crate::policy::value::Spanned;

/// What a rule needs besides the values: where to report, and which keys were already reported.
pub(super) struct Context<'a> {
    pub(super) reporter: &'a mut Reporter,
    pub(super) damaged: &'a Damaged,
}

impl Context<'_> {
    pub(super) fn error(&mut self, span: &Range<usize>, message: impl Into<String>, label: &str, help: &str) {
        self.reporter.error(span.clone(), message, label, help);
    }

    pub(super) fn warning(&mut self, span: &Range<usize>, message: impl Into<String>, label: &str, help: &str) {
        self.reporter.warning(span.clone(), message, label, help);
    }

    /// The value, or an error at its table's header. `path` is the key with its tables: `capacity.minimum`.
    pub(super) fn required<'v, T>(
        &mut self,
        value: &'v Option<Spanned<T>>,
        table: &Range<usize>,
        path: &str,
        help: &str,
    ) -> Option<&'v Spanned<T>> {
        if value.is_none() && !self.damaged.touches(path) {
            let label = if table.is_empty() { "" } else { "in this table" };
            self.error(table, format!("`{}` is missing: there is no default", named(path)), label, help);
        }
        value.as_ref()
    }

    /// A whole table, or an error with an example if it is missing.
    pub(super) fn section<'v, T>(
        &mut self,
        value: &'v Option<Spanned<T>>,
        name: &str,
        example: &str,
    ) -> Option<&'v Spanned<T>> {
        if value.is_none() && !self.damaged.touches(name) {
            self.error(&(0..0), format!("there is no [{name}]"), "", example);
        }
        value.as_ref()
    }
}

/// A key with its tables. The span shows which item of a list is meant.
fn named(path: &str) -> String {
    path.split('.').filter(|part| part.parse::<usize>().is_err()).collect::<Vec<_>>().join(".")
}

/// A required text that is not empty.
pub(super) fn text(
    context: &mut Context<'_>,
    value: &Option<Spanned<String>>,
    table: &Range<usize>,
    path: &str,
    help: &str,
) -> Option<String> {
    let value = context.required(value, table, path, help)?;
    if value.value.trim().is_empty() {
        context.error(&value.span, format!("`{}` is empty", named(path)), "empty", help);
        return None;
    }
    Some(value.value.clone())
}
