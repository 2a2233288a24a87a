//! Tests of what is explained.

mod what_if;
