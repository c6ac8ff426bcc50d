//! `muster bench`: hands over to the load harness.

use std::process::ExitCode;

use crate::bench::{self, BenchArgs};

/// Runs it; exits with 1 when operations failed.
pub fn run(args: &BenchArgs) -> ExitCode {
    bench::run(args).unwrap_or_else(|error| super::exit(Err(error)))
}
