//! The integration tests, as one binary: one link instead of many.
#![expect(clippy::expect_used, reason = "a test that cannot go on says so by panicking")]

mod layering;
mod ledger_conformance;
mod ledger_sqlite;
