//! Logs: human or JSON, to stderr, so that stdout holds only what a command answers.

use std::io::IsTerminal;

use tracing_subscriber::EnvFilter;

use crate::config::{Log, LogFormat};

/// Libraries that tell their inner life at info; a filter that names them wins.
///
/// The core of openraft warns whenever something it waited for belongs to a term gone by: at many a start, the flush of
/// what it wrote before its election. Its errors are errors.
const QUIET: &str = "openraft=warn,openraft::core::raft_core=error,actix_server=warn";

/// Starts logging for this process.
///
/// # Errors
/// The level is no filter that the subscriber understands.
pub fn start(log: &Log) -> Result<(), String> {
    let filter = EnvFilter::try_new(format!("{QUIET},{}", log.level))
        .map_err(|error| format!("configuration key log.level: {error}"))?;
    let subscriber = tracing_subscriber::fmt()
        .with_env_filter(filter)
        .with_ansi(std::io::stderr().is_terminal())
        .with_writer(std::io::stderr);
    let started = match log.format {
        LogFormat::Human => subscriber.try_init(),
        LogFormat::Json => subscriber.json().flatten_event(true).try_init(),
    };
    started.map_err(|error| error.to_string())
}
