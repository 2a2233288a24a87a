//! Tests of the explanations.

mod what_if;
